package xdp

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// probe asks about the lab's first pair.
func probe(t *testing.T, l *lab.Lab, side lab.Side) (f Features) {
	t.Helper()
	in(t, l, side, func() (err error) {
		f, err = Probe(l.End(side).Name)
		return err
	})
	return f
}

// opens tries to open the end of side and closes it again if that works.
func opens(t *testing.T, l *lab.Lab, side lab.Side, o Options) error {
	t.Helper()
	if o.Interface == "" {
		o.Interface = l.End(side).Name
	}
	if o.Program == nil {
		o.Program = redirect(t, 1, o.Frags)
	}
	return l.In(side, func() error {
		i, err := Open(o)
		if err != nil {
			return err
		}
		return i.Close()
	})
}

func TestProbe(t *testing.T) {
	l := newLab(t, lab.PairOptions{Queues: 3, MTU: 3000})
	f := probe(t, l, lab.B)
	e := l.End(lab.B)
	if f.Interface != e.Name || f.Index != e.Index || f.MAC != e.MAC || f.MTU != 3000 || !f.Up ||
		f.Queues != 3 || f.Driver != "veth" || f.Kernel == "" || f.DefaultRoute ||
		f.Attached != nil {
		t.Errorf("%+v of %+v", f, e)
	}
	if !f.Native.OK || !f.MultiBuffer.OK || f.ZeroCopy.OK ||
		f.ZeroCopy.Why != "driver veth has no zero-copy" || f.TxMetadata.Why == "" {
		t.Errorf("%+v", f)
	}
	b := open(t, l, lab.B, setup{mode: Generic})
	attached := probe(t, l, lab.B).Attached
	if attached == nil || attached.Name != "redirect" || attached.Mode != Generic ||
		attached.ID == 0 {
		t.Errorf("an attached program shows as %+v", attached)
	}
	closeEnds(t, b)
	if f := probe(t, l, lab.B); f.Attached != nil {
		t.Errorf("after Close %v is attached", f.Attached)
	}
}

func TestMissingInterface(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	err := opens(t, l, lab.A, Options{Interface: "no-such0"})
	if !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), `interface "no-such0"`) {
		t.Error(err)
	}
}

// TestDefaultRouteRefused: directly, through a bridge above, by a hop of many, IPv4 and IPv6.
func TestDefaultRouteRefused(t *testing.T) {
	everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	for name, add := range map[string]func(l *lab.Lab, index int) error{
		"IPv4": func(l *lab.Lab, index int) error {
			return netlink.RouteAdd(&netlink.Route{
				LinkIndex: index,
				Gw:        l.End(lab.B).IPv4.AsSlice(),
			})
		},
		"IPv4 in another table": func(l *lab.Lab, index int) error {
			return netlink.RouteAdd(&netlink.Route{
				LinkIndex: index, Table: 77,
				Gw: l.End(lab.B).IPv4.AsSlice(),
			})
		},
		"IPv6": func(l *lab.Lab, index int) error {
			return netlink.RouteAdd(&netlink.Route{
				LinkIndex: index,
				Gw:        l.End(lab.B).IPv6.AsSlice(),
			})
		},
		"one hop of two": func(l *lab.Lab, index int) error {
			gw := net.IP(l.End(lab.B).IPv4.AsSlice())
			return netlink.RouteAdd(&netlink.Route{
				Dst: everywhere,
				MultiPath: []*netlink.NexthopInfo{
					{LinkIndex: index, Gw: gw}, {LinkIndex: index, Gw: gw, Hops: 3},
				},
			})
		},
		"of the bridge it is a port of": func(_ *lab.Lab, index int) error {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "br0"
			bridge := &netlink.Bridge{LinkAttrs: attrs}
			if err := netlink.LinkAdd(bridge); err != nil {
				return err
			}
			port := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
			if err := netlink.LinkSetMaster(port, bridge); err != nil {
				return err
			}
			if err := netlink.LinkSetUp(bridge); err != nil {
				return err
			}
			return netlink.RouteAdd(&netlink.Route{
				LinkIndex: bridge.Index,
				Scope:     netlink.SCOPE_LINK, Dst: everywhere,
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("needs root: network namespaces")
			}
			l, err := lab.New(lab.PairOptions{}) // with IPv6
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if err := opens(t, l, lab.A, Options{}); err != nil {
				t.Fatalf("without a default route: %v", err)
			}
			in(t, l, lab.A, func() error { return add(l, l.End(lab.A).Index) })
			if err := opens(t, l, lab.A, Options{}); !errors.Is(err, ErrDefaultRoute) {
				t.Errorf("with a default route: %v", err)
			}
			if err := opens(t, l, lab.A, Options{AllowDefaultRoute: true}); err != nil {
				t.Errorf("allowed: %v", err)
			}
			if err := opens(t, l, lab.B, Options{}); err != nil {
				t.Errorf("the other end: %v", err)
			}
		})
	}
}

// TestForeignProgramRefused: attached by link or the old way, in either mode, it is named and
// stays.
func TestForeignProgramRefused(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	theirs := redirect(t, 1, false).Program()
	info, err := theirs.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	index := l.End(lab.A).Index
	old := func(fd, flags int) error {
		device := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
		return netlink.LinkSetXdpFdWithFlags(device, fd, flags)
	}
	for name, attach := range map[string]func() (detach func() error, err error){
		"link native": func() (func() error, error) {
			x, err := link.AttachXDP(link.XDPOptions{
				Program: theirs, Interface: index,
				Flags: link.XDPDriverMode,
			})
			return func() error { return x.Close() }, err
		},
		"link generic": func() (func() error, error) {
			x, err := link.AttachXDP(link.XDPOptions{
				Program: theirs, Interface: index,
				Flags: link.XDPGenericMode,
			})
			return func() error { return x.Close() }, err
		},
		"netlink native": func() (func() error, error) {
			const drv = 1 << 2 // XDP_FLAGS_DRV_MODE
			return func() error { return old(-1, drv) }, old(theirs.FD(), drv)
		},
		"netlink generic": func() (func() error, error) {
			const skb = 1 << 1 // XDP_FLAGS_SKB_MODE
			return func() error { return old(-1, skb) }, old(theirs.FD(), skb)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var detach func() error
			in(t, l, lab.A, func() (err error) { detach, err = attach(); return err })
			for _, mode := range []Mode{Auto, Native, Generic} {
				err := opens(t, l, lab.A, Options{Mode: mode})
				var foreign *ForeignError
				if !errors.As(err, &foreign) || foreign.Program.ID != uint32(id) {
					t.Errorf("%s: %v, want program %d", mode, err, id)
				}
			}
			if f := probe(t, l, lab.A); f.Attached == nil || f.Attached.ID != uint32(id) {
				t.Errorf("%v is attached now, want %d", f.Attached, id)
			}
			in(t, l, lab.A, detach)
			if err := opens(t, l, lab.A, Options{}); err != nil {
				t.Errorf("after they left: %v", err)
			}
		})
	}
}

// TestFramesAreChecked: program, sockets and MTU must fit before anything is attached or bound.
func TestFramesAreChecked(t *testing.T) {
	l := newLab(t, lab.PairOptions{MTU: 9000})
	if err := opens(t, l, lab.A, Options{}); err == nil ||
		!strings.Contains(err.Error(), "MTU 9000") {
		t.Errorf("single-buffer program at MTU 9000: %v", err)
	}
	setMTU(t, l, 3000)
	program := redirect(t, 1, false)
	in(t, l, lab.A, func() error {
		i, err := Open(Options{Interface: l.End(lab.A).Name, Program: program})
		if err != nil {
			return err
		}
		defer i.Close()
		m := memory(t, rigChunks, 4096).Bytes
		if _, err := i.OpenSocket(0, m, SocketOptions{ChunkBytes: 2048}); err == nil ||
			!strings.Contains(err.Error(), "MTU 3000") {
			t.Errorf("chunks of 2,048 at MTU 3000: %v", err)
		}
		if _, err := i.OpenSocket(0, m[1:], SocketOptions{}); err == nil ||
			!strings.Contains(err.Error(), "whole pages") {
			t.Errorf("memory that is not made of pages: %v", err)
		}
		if _, err := i.OpenSocket(0, m, SocketOptions{
			Rings: sock.Sizes{Fill: 100, Completion: 64, Rx: 64, Tx: 64},
		}); err == nil ||
			!strings.Contains(err.Error(), "fill ring of 100") {
			t.Errorf("a ring of 100 entries: %v", err)
		}
		if _, err := i.OpenSocket(0, m, SocketOptions{Rings: sock.Sizes{Rx: 64}}); err == nil {
			t.Error("an owner without fill ring")
		}
		for _, queue := range []int{-1, 1} {
			if _, err := i.OpenSocket(queue, m, SocketOptions{}); err == nil ||
				!strings.Contains(err.Error(), "has queues 0 to 0") {
				t.Errorf("queue %d of 1: %v", queue, err)
			}
		}
		s, err := i.OpenSocket(0, m, SocketOptions{})
		if err == nil && s.Sizes().Tx != DefaultRingEntries {
			t.Errorf("default rings of %+v", s.Sizes())
		}
		return err
	})
}

// TestFallsBackToGeneric on an interface whose driver has no XDP: a bridge.
func TestFallsBackToGeneric(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	in(t, l, lab.A, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "br0"
		bridge := &netlink.Bridge{LinkAttrs: attrs}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		return netlink.LinkSetUp(bridge)
	})
	if err := opens(t, l, lab.A, Options{Interface: "br0", Mode: Native}); !errors.Is(err,
		unix.EOPNOTSUPP) {
		t.Errorf("native on a bridge: %v", err)
	}
	program, m := redirect(t, 1, false), memory(t, rigChunks, 4096).Bytes
	in(t, l, lab.A, func() error {
		i, err := Open(Options{Interface: "br0", Program: program})
		if err != nil {
			return err
		}
		defer i.Close()
		if _, err := i.OpenSocket(0, m, SocketOptions{}); err != nil {
			return err
		}
		if got := i.Fallbacks(); i.Mode() != Generic || len(got) < 2 ||
			got[0] != (Fallback{"native XDP", "generic XDP", "driver bridge has no native XDP"}) ||
			got[1] != (Fallback{"zero-copy", "copy", "generic XDP has none"}) {
			t.Errorf("%s mode, %q", i.Mode(), got)
		}
		return nil
	})
}

// TestOneOwnerPerQueue: a second owner is refused by name, sharers come and go.
func TestOneOwnerPerQueue(t *testing.T) {
	l := newLab(t, lab.PairOptions{Queues: 2})
	b := open(t, l, lab.B, setup{
		mode: Native, program: redirect(t, 2, false),
		socket: SocketOptions{Name: "nic"},
	})
	other := memory(t, rigChunks, 4096).Bytes
	in(t, l, lab.B, func() error {
		var owned *OwnedError
		_, err := b.iface.OpenSocket(0, other, SocketOptions{Name: "late"})
		if !errors.As(err, &owned) || owned.Owner != b.sock ||
			!strings.Contains(err.Error(), `"nic"`) {
			t.Errorf("a second owner: %v", err)
		}
		_, err = b.iface.OpenShared(0, b.sock, SocketOptions{
			Rings: sock.Sizes{Fill: 64, Completion: 64, Rx: 64, Tx: 64},
		})
		if !errors.As(err, &owned) || owned.Owner != b.sock {
			t.Errorf("a sharer with rings of its own: %v", err)
		}
		if _, err := b.iface.OpenShared(1, b.sock, SocketOptions{
			Rings: sock.Sizes{Rx: 64, Tx: 64},
		}); err == nil {
			t.Error("an owner of another queue without fill ring")
		}
		shared, err := b.iface.OpenShared(0, b.sock, SocketOptions{Name: "guest"})
		if err != nil {
			return err
		}
		if err := b.sock.Close(); err == nil || !strings.Contains(err.Error(), `"guest"`) {
			t.Errorf("the owner closed before the sharer: %v", err)
		}
		far, err := b.iface.OpenShared(1, b.sock, SocketOptions{Name: "far"})
		if err != nil {
			return err
		}
		if !far.OwnsQueue() || far.Queue() != 1 {
			t.Error("a socket on another queue does not own that queue")
		}
		return errors.Join(shared.Close(), shared.Close(), far.Close(), b.sock.Close())
	})
}

// TestNothingIsLeft after Close: no program, no map, no descriptor.
func TestNothingIsLeft(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	descriptors := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	m := memory(t, rigChunks, 4096).Bytes
	before := descriptors()
	for range 3 {
		program, sockets := closedAfterUse(t, l, m)
		for start := time.Now(); ; time.Sleep(time.Millisecond) { // a worker of the kernel frees
			left, perr := ebpf.NewProgramFromID(program)
			left.Close()
			leftMap, merr := ebpf.NewMapFromID(sockets)
			leftMap.Close()
			if errors.Is(perr, os.ErrNotExist) && errors.Is(merr, os.ErrNotExist) {
				break
			}
			if time.Since(start) > rigTimeout {
				t.Fatalf("program %d: %v, map %d: %v", program, perr, sockets, merr)
			}
		}
	}
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// closedAfterUse opens everything on B, closes it, and tells the ids of what was in the kernel.
func closedAfterUse(t *testing.T, l *lab.Lab, m []byte) (program ebpf.ProgramID,
	sockets ebpf.MapID,
) {
	t.Helper()
	p, err := bpf.LoadRedirect(1, false)
	if err != nil {
		t.Fatal(err)
	}
	info, err := p.Program().Info()
	if err != nil {
		t.Fatal(err)
	}
	program, _ = info.ID()
	minfo, err := p.Sockets().Info()
	if err != nil {
		t.Fatal(err)
	}
	sockets, _ = minfo.ID()
	in(t, l, lab.B, func() error {
		i, err := Open(Options{Interface: l.End(lab.B).Name, Program: p})
		if err != nil {
			return err
		}
		s, err := i.OpenSocket(0, m, SocketOptions{})
		if err != nil {
			return err
		}
		if err := i.Register(s, 0); err != nil {
			return err
		}
		if err := i.Register(s, 1); err == nil {
			t.Error("registered in a slot that the map does not have")
		}
		if err := errors.Join(i.Unregister(0), i.Unregister(0), i.Register(s, 0)); err != nil {
			return err
		}
		if err := errors.Join(i.Close(), i.Close(), s.Close(), p.Close()); err != nil {
			return err
		}
		if _, err := i.OpenSocket(0, m, SocketOptions{}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a socket of a closed interface: %v", err)
		}
		return nil
	})
	return program, sockets
}
