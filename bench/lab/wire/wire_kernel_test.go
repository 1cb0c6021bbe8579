package wire

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

func newSpan(t *testing.T, o lab.PairOptions, s fabric.Script) *Span {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces and packet sockets")
	}
	n, err := NewSpan(o, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// tap opens a tap at a host's end.
func tap(t *testing.T, n *Span, side lab.Side) *Tap {
	t.Helper()
	var p *Tap
	err := n.In(side, func() (err error) {
		p, err = Open(n.End(side).Name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// etherType is the one for local experiments: nobody else sends it.
const etherType = 0x88b5

// numbered is frame i, from A to B, of some length.
func numbered(n *Span, i int) []byte {
	b := make([]byte, 60+i*37%1400)
	to, from := n.End(lab.B).MAC, n.End(lab.A).MAC
	copy(b, to[:])
	copy(b[6:], from[:])
	binary.BigEndian.PutUint16(b[12:], etherType)
	binary.BigEndian.PutUint32(b[14:], uint32(i))
	return b
}

// collect takes what arrives until nothing has for a while.
func collect(t *testing.T, p *Tap, patience time.Duration) [][]byte {
	t.Helper()
	var all [][]byte
	b := make([]byte, fabric.MaxFrame+1)
	for {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}},
			int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if ready == 0 || err != nil {
			return all
		}
		length, err := p.Recv(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(b[:length]))
	}
}

func faulty() fault.Config {
	return fault.Config{
		Loss:      0.1,
		Burst:     fault.Burst{Enter: 0.01, Leave: 0.3, Loss: 1},
		Duplicate: fault.Duplicate{Probability: 0.1, Copies: 2},
		Corrupt:   0.05,
		Truncate:  fault.Truncate{Probability: 0.05, Floor: 14},
	}
}

// TestSameFramesAsInTheSimulator sends a thousand frames through the box and through the simulated
// network, with one script, and expects the same bytes.
func TestSameFramesAsInTheSimulator(t *testing.T) {
	const frames = 1000
	s := fabric.Script{Seed: 11, Hosts: 2, Steps: []fabric.Step{
		{From: 0, To: 1, Faults: faulty()},
	}}
	n := newSpan(t, lab.PairOptions{NoIPv6: true}, s)
	a, b := tap(t, n, lab.A), tap(t, n, lab.B)
	n.Start()
	for i := range frames {
		if err := a.Send(numbered(n, i)); err != nil {
			t.Fatal(err)
		}
	}
	got := collect(t, b, 300*time.Millisecond)
	counters, err := n.Stop()
	if err != nil || counters.Missed+counters.Oversize+counters.Unsent != 0 {
		t.Fatalf("%+v, %v", counters, err)
	}

	var want inbox
	loop := sim.NewLoop()
	twin, err := fabric.Play(loop, s)
	if err != nil {
		t.Fatal(err)
	}
	twin.Attach(1, &want)
	for i := range frames {
		twin.Send(loop.Now(), 0, 1, numbered(n, i))
	}
	loop.Run(core.Second)
	if len(got) != len(want.frames) || len(got) < frames/2 {
		t.Fatalf("%d frames arrive on the wire, %d in the simulator", len(got), len(want.frames))
	}
	for i := range got {
		if !bytes.Equal(got[i], want.frames[i]) {
			t.Fatalf("frame %d is % x on the wire, % x in the simulator", i, got[i], want.frames[i])
		}
	}
	if counters.Counters != twin.Counters() {
		t.Errorf("box %+v\nsimulator %+v", counters.Counters, twin.Counters())
	}
}

type inbox struct{ frames [][]byte }

func (i *inbox) Receive(_ core.Time, _ int, b []byte) {
	i.frames = append(i.frames, bytes.Clone(b))
}

func TestBoxDelaysAndReorders(t *testing.T) {
	const delay = 5 * core.Millisecond
	n := newSpan(t, lab.PairOptions{NoIPv6: true}, fabric.Script{Hosts: 2, Steps: []fabric.Step{
		{From: 0, To: 1, Faults: fault.Config{
			Delay:   fault.Delay{Fixed: delay},
			Reorder: fault.Reorder{Probability: 0.2, Delay: core.Millisecond},
		}},
	}})
	a, b := tap(t, n, lab.A), tap(t, n, lab.B)
	n.Start()
	start := time.Now()
	for i := range 200 {
		if err := a.Send(numbered(n, i)); err != nil {
			t.Fatal(err)
		}
	}
	got := collect(t, b, 300*time.Millisecond)
	late := 0
	for i := 1; i < len(got); i++ {
		if binary.BigEndian.Uint32(got[i][14:]) < binary.BigEndian.Uint32(got[i-1][14:]) {
			late++
		}
	}
	if len(got) != 200 || late == 0 || time.Since(start) < time.Duration(delay) {
		t.Errorf("%d frames arrive, %d late, after %v", len(got), late, time.Since(start))
	}
}

// TestStackTalksThroughBox sends datagrams of the kernel through a perfect box, ARP and neighbour
// solicitations included, then cuts one way.
func TestStackTalksThroughBox(t *testing.T) {
	const cutAt = 400 * core.Millisecond
	n := newSpan(t, lab.PairOptions{}, fabric.Script{Hosts: 2, Steps: []fabric.Step{
		{At: cutAt, From: 1, To: 0, Cut: core.Never},
	}})
	n.Start()
	start := time.Now()
	for _, to := range []netip.Addr{n.End(lab.B).IPv4, n.End(lab.B).IPv6} {
		if got := ask(t, n, to, 2*time.Second); got != "pong" {
			t.Fatalf("%v answers %q", to, got)
		}
	}
	time.Sleep(time.Duration(cutAt) - time.Since(start) + 20*time.Millisecond)
	if got := ask(t, n, n.End(lab.B).IPv4, 100*time.Millisecond); got != "" {
		t.Errorf("%q arrives on a path that is cut", got)
	}
	if c, err := n.Stop(); err != nil || c.Delivered == 0 || c.Delivered == c.Judged {
		t.Errorf("%+v, %v", c, err)
	}
}

// ask sends a datagram from A and returns what B answers to it.
func ask(t *testing.T, n *Span, to netip.Addr, patience time.Duration) string {
	t.Helper()
	var server, client *net.UDPConn
	err := n.In(lab.B, func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 0)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	err = n.In(lab.A, func() (err error) {
		client, err = net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	deadline := time.Now().Add(patience)
	client.SetDeadline(deadline)
	server.SetDeadline(deadline)
	if _, err := client.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	length, from, err := server.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:length]) != "ping" {
		t.Fatalf("the server gets %q, %v", b[:length], err)
	}
	if _, err := server.WriteToUDPAddrPort([]byte("pong"), from); err != nil {
		t.Fatal(err)
	}
	length, _ = client.Read(b) // nothing, if the answer is lost
	return string(b[:length])
}

// TestSwarmOnTheWire lets whatever a seed draws happen to real frames for a moment: the box counts
// all of them and loses none by itself.
func TestSwarmOnTheWire(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 3))
	n := newSpan(t, lab.PairOptions{NoIPv6: true, MTU: 9000}, fabric.Script{
		Seed: 3, Hosts: 2, Steps: []fabric.Step{
			{From: 0, To: 1, Faults: fault.Swarm(draw)}, {From: 1, To: 0, Faults: fault.Swarm(draw)},
		},
	})
	a := tap(t, n, lab.A)
	b := tap(t, n, lab.B)
	n.Start()
	const frames = 2000
	for i := range frames {
		if err := a.Send(numbered(n, i)); err != nil {
			t.Fatal(err)
		}
	}
	collect(t, b, 200*time.Millisecond)
	c, err := n.Stop()
	model, _ := n.box.net.Faults(0, 1)
	if err != nil || c.Sent != frames || c.Missed+c.Oversize+c.Unsent != 0 ||
		model.Delivered != c.Delivered+c.Empty+c.Forgotten+c.Flying {
		t.Errorf("%+v\n%+v, %v", c, model, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := Open("no-such-thing"); err == nil {
		t.Error("taps an interface that is not there")
	}
	if _, err := New(nil, nil, fabric.Script{Hosts: 3}); err == nil {
		t.Error("takes a script for three hosts")
	}
}
