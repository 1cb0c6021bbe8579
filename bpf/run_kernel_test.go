package bpf

import (
	"os"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bench runs an XDP program over single frames without an interface carrying them
// (BPF_PROG_TEST_RUN). Frames seem to arrive on a queue of a veth that lives in a network namespace
// of its own.
type bench struct {
	ifIndex int
}

const benchQueues = 2

// newBench puts the calling test's thread into a new network namespace. The thread ends with the
// test, and the namespace with its veth goes with the thread. Subtests run on other threads, so the
// bench is not for them.
func newBench(t testing.TB) *bench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("loading BPF programs and making a network namespace need root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{
			Name: "near", NumTxQueues: benchQueues, NumRxQueues: benchQueues,
		},
		PeerName:         "far",
		PeerHardwareAddr: otherMAC[:],
	}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatalf("add veth: %v", err)
	}
	near, err := netlink.LinkByName("near")
	if err != nil {
		t.Fatal(err)
	}
	return &bench{ifIndex: near.Attrs().Index}
}

// context is struct xdp_md.
type context struct {
	Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32
}

// run hands one frame, at least 14 bytes long, to the program and returns its verdict.
func (b *bench) run(t testing.TB, program *ebpf.Program, queue int, frame []byte) Verdict {
	t.Helper()
	return b.runMany(t, program, queue, frame, 1)
}

func (b *bench) runMany(t testing.TB, p *ebpf.Program, queue int, frame []byte, n uint32) Verdict {
	t.Helper()
	verdict, err := p.Run(&ebpf.RunOptions{
		Data:   frame,
		Repeat: n,
		Context: context{
			DataEnd: uint32(len(frame)), Ingress: uint32(b.ifIndex), Queue: uint32(queue),
		},
	})
	if err != nil {
		t.Fatalf("run a frame of %d bytes: %v", len(frame), err)
	}
	return Verdict(verdict)
}

// addSocket gives the queue an AF_XDP socket with a receive ring. It is not bound: a test run ends
// with the verdict, so nothing is ever put into the ring.
func addSocket(t testing.TB, sockets *ebpf.Map, queue int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatalf("AF_XDP socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_RX_RING, 64); err != nil {
		t.Fatalf("receive ring: %v", err)
	}
	if err := sockets.Put(uint32(queue), uint32(fd)); err != nil {
		t.Fatalf("socket of queue %d: %v", queue, err)
	}
}

// newSteer loads the program with the test's registrations and a socket on queue 0 only.
func newSteer(t testing.TB, frags bool) *Steer {
	t.Helper()
	s, err := LoadSteer(SteerOptions{Queues: benchQueues, MAC: testMAC, Frags: frags})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := s.SetEtherType(testType, true); err != nil {
		t.Fatal(err)
	}
	for endpoint := range testRegistered().endpoints {
		if err := s.SetUDP(endpoint.Addr(), endpoint.Port(), true); err != nil {
			t.Fatal(err)
		}
	}
	addSocket(t, s.Sockets(), 0)
	return s
}

// steered runs one frame and returns verdict and the one reason it was counted under.
func (b *bench) steered(t testing.TB, s *Steer, queue int, frame []byte) (Verdict, Reason) {
	t.Helper()
	before := counters(t, s)
	verdict := b.run(t, s.Program(), queue, frame)
	counted, total := Reason(Reasons), uint64(0)
	for reason, n := range counters(t, s) {
		if n -= before[reason]; n > 0 {
			counted = Reason(reason)
			total += n
		}
	}
	if total != 1 {
		t.Fatalf("%x: counted %d times", frame, total)
	}
	return verdict, counted
}

func counters(t testing.TB, s *Steer) []uint64 {
	t.Helper()
	counts, err := s.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// want is the verdict that goes with a reason on a queue that has a socket.
func want(r Reason) Verdict {
	switch {
	case r.Redirected():
		return VerdictRedirect
	case r == DroppedEmpty:
		return VerdictDrop
	}
	return VerdictPass
}
