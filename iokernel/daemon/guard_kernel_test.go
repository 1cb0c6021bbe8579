package daemon

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// TestTakenPortIsAnError has another socket of the host on the port, whatever address it is bound
// to.
func TestTakenPortIsAnError(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	for _, at := range []string{
		":7777", "0.0.0.0:7777", "[::]:7777", "10.77.0.2:7777",
		"[fd77::2]:7777",
	} {
		t.Run(at, func(t *testing.T) {
			var taken net.PacketConn
			in(t, l, lab.B, func() (err error) {
				taken, err = net.ListenPacket("udp", at)
				return err
			})
			o := optionsFor(t, l)
			before := resourcesNow(t)
			d, err := Start(o)
			if err == nil {
				t.Fatal(errors.Join(errors.New("it started"), d.Close(), taken.Close()))
			}
			says(t, err, "UDP port 7777", "runtime echo", "taken by another program")
			awaitResources(t, "a failed start", before)
			taken.Close()
			if d, err = Start(o); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAddressOfNobodyIsAnError guards a port on an address that the host does not have.
func TestAddressOfNobodyIsAnError(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	o := optionsFor(t, l)
	o.Config.Runtimes[0].Endpoints = []config.Endpoint{
		{UDP: echoPort, Address: netip.MustParseAddr("10.77.0.200")},
	}
	d, err := Start(o)
	if err == nil {
		t.Fatal(errors.Join(errors.New("it started"), d.Close()))
	}
	says(t, err, "10.77.0.200 is no address of this host")
}

// TestNobodyRefusesForARuntimeThatIsAway asks a port before, while and after its runtime is
// attached. Without the guard the kernel would answer "port unreachable", and clients give up.
func TestNobodyRefusesForARuntimeThatIsAway(t *testing.T) {
	for _, mode := range []string{modeMediated, modeDirect} {
		t.Run(mode, func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			d := startDaemon(t, l, func(o *Options) {
				if r := &o.Config.Runtimes[0]; mode == modeDirect {
					r.AllowDirect, r.Queue = true, 0
				}
			})
			to := []netip.Addr{l.End(lab.B).IPv4, l.End(lab.B).IPv6}
			silent := func(when string) {
				t.Helper()
				for _, a := range to {
					err := asks(t, l, a, refusedWithin)
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%s, %v: %v, want a timeout", when, a, err)
					}
				}
			}
			silent("before")
			t.Run("attached", func(t *testing.T) {
				runEcho(t, attach.Options{
					Name: "echo", Socket: d.Socket(),
					Direct: mode == modeDirect,
				})
				for _, a := range to {
					exchange(t, l, a, 10)
				}
			})
			await(t, "detached", func() bool { return d.theAttachment() == nil })
			silent("after")
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			// The proof that it was the guard: without it, clients are refused.
			for _, a := range to {
				if err := asks(t, l, a, time.Second); !errors.Is(err, unix.ECONNREFUSED) {
					t.Errorf("without an iokernel, %v: %v, want a refusal", a, err)
				}
			}
		})
	}
}
