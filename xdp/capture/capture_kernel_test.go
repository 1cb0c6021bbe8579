package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/gopacket/pcapgo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bpf"
)

const (
	takenType = 0x88b5 // registered at near
	otherType = 0x88b6 // not
)

var (
	nearMAC = [6]byte{2, 0, 0, 0, 0, 1}
	farMAC  = [6]byte{2, 0, 0, 0, 0, 2}
)

// pair is a veth in a network namespace of the test's own: frames sent at far arrive at near.
type pair struct {
	near, far netlink.Link
	sender    int // AF_PACKET socket bound to far
}

// newPair moves the test's thread into a new namespace. The thread ends with the test, and
// namespace and veth go with it.
func newPair(t *testing.T) *pair {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace, BPF programs and packet sockets need root")
	}
	runtime.LockOSThread()
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	must(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: "near", HardwareAddr: nearMAC[:]},
		PeerName:         "far",
		PeerHardwareAddr: farMAC[:],
	}))
	p := &pair{near: linkNamed(t, "near"), far: linkNamed(t, "far")}
	must(t, netlink.LinkSetUp(p.near))
	must(t, netlink.LinkSetUp(p.far))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: p.far.Attrs().Index}))
	p.sender = fd
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func linkNamed(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	must(t, err)
	return l
}

// steer attaches the program at near, with takenType registered and a socket on its only queue. The
// socket is not bound: a frame is redirected to it, which is what is captured, and goes no further.
func (p *pair) steer(t *testing.T) (*bpf.Steer, link.Link) {
	t.Helper()
	s, err := bpf.LoadSteer(bpf.SteerOptions{Queues: 1, MAC: nearMAC})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, s.SetEtherType(takenType, true))
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_RX_RING, 64))
	must(t, s.Sockets().Put(uint32(0), uint32(fd)))
	return s, p.attach(t, s.Program())
}

func (p *pair) attach(t *testing.T, program *ebpf.Program) link.Link {
	t.Helper()
	l, err := link.AttachXDP(link.XDPOptions{
		Program: program, Interface: p.near.Attrs().Index, Flags: link.XDPDriverMode,
	})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// frame is numbered so that no two are alike.
func frame(etherType, number, length int) []byte {
	f := make([]byte, length)
	copy(f, nearMAC[:])
	copy(f[6:], farMAC[:])
	binary.BigEndian.PutUint16(f[12:], uint16(etherType))
	binary.BigEndian.PutUint32(f[14:], uint32(number))
	return f
}

// file is what a capture writes to; begun is closed once it has written its header, so is running.
type file struct {
	bytes.Buffer
	once  sync.Once
	begun chan struct{}
}

func newFile() *file { return &file{begun: make(chan struct{})} }

func (f *file) Write(b []byte) (int, error) {
	defer f.once.Do(func() { close(f.begun) })
	return f.Buffer.Write(b)
}

// sendOnceBegun sends the frames from another goroutine and then calls after, as Run keeps the
// test's.
func (p *pair) sendOnceBegun(t *testing.T, out *file, frames [][]byte, after func()) {
	go func() {
		<-out.begun
		for _, f := range frames {
			if _, err := unix.Write(p.sender, f); err != nil {
				t.Errorf("send: %v", err)
			}
		}
		after()
	}()
}

func TestRunRedirected(t *testing.T) {
	const count, snap = 100, 64
	p := newPair(t)
	p.steer(t)
	var sent [][]byte
	for i := range count {
		sent = append(sent, frame(takenType, i, 60+10*i), frame(otherType, i, 60))
	}
	out := newFile()
	before := time.Now()
	p.sendOnceBegun(t, out, sent, func() {})
	stats, err := Run(t.Context(),
		Options{Interface: "near", SnapLen: snap, Count: count, Out: out})
	must(t, err)
	after := time.Now()
	if stats.Frames != count || stats.Lost != 0 || stats.Bytes != 60+(count-1)*snap {
		t.Errorf("%+v", stats)
	}

	r, err := pcapgo.NewNgReader(&out.Buffer, pcapgo.DefaultNgReaderOptions)
	must(t, err)
	// Sender and receiver may change CPU, and the rings are read one after another.
	seen := map[uint32]bool{}
	for range count {
		data, info, err := r.ReadPacketData()
		must(t, err)
		number := binary.BigEndian.Uint32(data[14:])
		whole := frame(takenType, int(number), 60+10*int(number))
		start := whole[:min(len(whole), snap)]
		if seen[number] || info.Length != len(whole) || !bytes.Equal(data, start) {
			t.Errorf("frame %d: %+v: %x", number, info, data)
		}
		seen[number] = true
		if info.Timestamp.Before(before) || info.Timestamp.After(after) {
			t.Errorf("frame %d at %v, sent between %v and %v",
				number, info.Timestamp, before, after)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v", err)
	}
	about, err := r.Interface(0)
	must(t, err)
	if about.Name != "near" || about.Statistics.PacketsReceived != count ||
		about.Statistics.PacketsDropped != 0 {
		t.Errorf("%+v", about)
	}
}

// With All, every frame is there with verdict and reason, and cancelling the context ends the run.
func TestRunAll(t *testing.T) {
	p := newPair(t)
	s, _ := p.steer(t)
	sent := [][]byte{
		frame(takenType, 0, 60), frame(otherType, 1, 60), frame(takenType, 2, 14+4)[:14],
	}
	copy(sent[2][6:], []byte{2, 0, 0, 0, 0, 9}) // told by its source, having no payload
	ctx, cancel := context.WithCancel(t.Context())
	out := newFile()
	p.sendOnceBegun(t, out, sent, func() {
		for {
			counts, err := s.Counters()
			if err != nil {
				t.Error(err)
			}
			if err != nil || counts[bpf.TakenEtherType] > 0 && counts[bpf.PassedEtherType] > 0 &&
				counts[bpf.DroppedEmpty] > 0 {
				break
			}
			runtime.Gosched()
		}
		cancel()
	})
	stats, err := Run(ctx, Options{Interface: "near", All: true, Out: out})
	must(t, err)
	if stats.Lost != 0 || stats.Frames < 3 { // the kernel sends some of its own
		t.Errorf("%+v", stats)
	}

	want := []struct {
		verdict bpf.Verdict
		reason  bpf.Reason
		seen    int
	}{
		{verdict: bpf.VerdictRedirect, reason: bpf.TakenEtherType},
		{verdict: bpf.VerdictPass, reason: bpf.PassedEtherType},
		{verdict: bpf.VerdictDrop, reason: bpf.DroppedEmpty},
	}
	for _, b := range split(t, out.Bytes()) {
		if b.kind != blockPacket {
			continue
		}
		captured := int(binary.LittleEndian.Uint32(b.body[12:]))
		data := b.body[20 : 20+captured]
		for i := range sent {
			if !bytes.Equal(data, sent[i]) {
				continue
			}
			want[i].seen++
			got := options(t, b.body[20+(captured+3)/4*4:])
			if !bytes.Equal(got[optionComment], []byte(want[i].reason.String())) ||
				!bytes.Equal(got[packetQueue], make([]byte, 4)) ||
				binary.LittleEndian.Uint64(got[packetVerdict][1:]) != uint64(want[i].verdict) {
				t.Errorf("frame %d: options %x", i, got)
			}
		}
	}
	for i, w := range want {
		if w.seen != 1 {
			t.Errorf("frame %d is in the file %d times", i, w.seen)
		}
	}
}

func TestRunErrors(t *testing.T) {
	p := newPair(t)
	run := func(o Options) error {
		t.Helper()
		if o.Out == nil {
			o.Out = io.Discard
		}
		stats, err := Run(t.Context(), o)
		if err == nil || stats != (Stats{}) {
			t.Errorf("%+v: %+v, %v", o, stats, err)
		}
		return err
	}
	if err := run(Options{Interface: "nowhere"}); !errors.Is(err, unix.ENODEV) {
		t.Errorf("an interface that is not there: %v", err)
	}
	if err := run(Options{Interface: "near"}); !errors.Is(err, ErrNoProgram) {
		t.Errorf("an interface without program: %v", err)
	}

	foreign, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "foreign", Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, int32(bpf.VerdictPass)), asm.Return(),
		},
	})
	must(t, err)
	defer foreign.Close()
	must(t, p.attach(t, foreign).Close())
	if err := run(Options{Interface: "near"}); !errors.Is(err, ErrNoProgram) {
		t.Errorf("an interface whose program has left: %v", err)
	}
	l := p.attach(t, foreign)
	if err := run(Options{Interface: "near"}); !errors.Is(err, bpf.ErrNotSteer) {
		t.Errorf("somebody else's program: %v", err)
	}
	must(t, l.Close())

	s, _ := p.steer(t)
	if err := run(Options{Interface: "near", SnapLen: bpf.MaxSnapLen + 1}); err == nil {
		t.Error("a snap length beyond the limit was accepted")
	}
	if err := run(Options{Interface: "near", Out: brokenPipe{}}); !errors.Is(err, errBroken) {
		t.Errorf("a pipe that breaks: %v", err)
	}
	busy, err := bpf.OpenCapture(s.Program(), bpf.CaptureOptions{})
	must(t, err)
	if err := run(Options{Interface: "near"}); !errors.Is(err, bpf.ErrBusy) {
		t.Errorf("a second capture: %v", err)
	}
	must(t, busy.Close())
}

// A capture whose program goes away says so and leaves a whole file.
func TestRunDetached(t *testing.T) {
	p := newPair(t)
	_, attachment := p.steer(t)
	out := newFile()
	p.sendOnceBegun(t, out, [][]byte{frame(takenType, 0, 60)}, func() {
		if err := attachment.Close(); err != nil {
			t.Error(err)
		}
	})
	stats, err := Run(t.Context(), Options{Interface: "near", Out: out})
	if !errors.Is(err, ErrDetached) || stats.Frames != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
	r, err := pcapgo.NewNgReader(&out.Buffer, pcapgo.DefaultNgReaderOptions)
	must(t, err)
	_, _, err = r.ReadPacketData()
	must(t, err)
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("after the frame: %v", err)
	}
}
