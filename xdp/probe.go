package xdp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Answer is whether something is there, and why not, or what is known of it.
type Answer struct {
	OK  bool
	Why string
}

// Features are what an interface and the kernel offer.
type Features struct {
	Interface string
	Index     int
	MAC       [6]byte
	MTU       int // bytes
	Up        bool
	Queues    int    // that frames are received on
	Driver    string // empty if it does not say
	Kernel    string // release

	Native      Answer // the driver runs XDP programs and redirects to sockets
	ZeroCopy    Answer // the driver reads and writes frame memory itself
	MultiBuffer Answer // the driver hands frames of several buffers to programs
	TxMetadata  Answer // the kernel takes requests (checksum, time stamp) before a frame's data

	DefaultRoute bool      // a default route, IPv4 or IPv6, leads through it
	Attached     *Attached // the XDP program that is attached, nil if there is none
}

// Probe asks what the named interface offers. It changes nothing. It needs CAP_NET_RAW to know
// about TxMetadata and CAP_BPF to name an attached program; the rest anybody may ask.
func Probe(name string) (Features, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			err = unix.ENODEV
		}
		return Features{}, fmt.Errorf("xdp: interface %q: %w", name, err)
	}
	a := l.Attrs()
	f := Features{
		Interface: name,
		Index:     a.Index,
		MTU:       a.MTU,
		Up:        a.RawFlags&unix.IFF_UP != 0,
		Queues:    a.NumRxQueues,
	}
	copy(f.MAC[:], a.HardwareAddr)
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return Features{}, fmt.Errorf("xdp: kernel release: %w", err)
	}
	f.Kernel = unix.ByteSliceToString(uname.Release[:])
	if d, err := driver(name); err == nil {
		f.Driver = d
	}
	if n, err := channels(name); err == nil && n > 0 {
		f.Queues = n // those in use; the link says how many there may be
	}
	if x := a.Xdp; x != nil && x.Attached {
		f.Attached = &Attached{ID: x.ProgId, Name: attachedName(x.ProgId), Mode: attachedMode(x)}
	}
	if f.DefaultRoute, err = carriesDefaultRoute(l); err != nil {
		return Features{}, fmt.Errorf("xdp: default routes: %w", err)
	}
	f.probeDriver()
	f.TxMetadata = probeTxMetadata()
	return f, nil
}

// attachedMode translates IFLA_XDP_ATTACHED.
func attachedMode(x *netlink.LinkXdp) Mode {
	const drv, skb = 1, 2 // XDP_ATTACHED_DRV, XDP_ATTACHED_SKB; 4 is several
	switch x.AttachMode {
	case drv:
		return Native
	case skb:
		return Generic
	}
	return Auto
}

// probeDriver asks the driver for its XDP features.
func (f *Features) probeDriver() {
	bits, err := netdevFeatures(f.Index)
	if err != nil {
		unknown := Answer{Why: fmt.Sprintf("cannot ask the driver: %v", err)}
		f.Native, f.ZeroCopy, f.MultiBuffer = unknown, unknown, unknown
		return
	}
	answer := func(want uint64, what string) Answer {
		if bits&want == want {
			return Answer{OK: true, Why: "the driver has " + what}
		}
		return Answer{Why: strings.TrimSpace("driver " + f.Driver + " has no " + what)}
	}
	f.Native = answer(featureBasic|featureRedirect, "native XDP")
	f.ZeroCopy = answer(featureZeroCopy, "zero-copy")
	f.MultiBuffer = answer(featureRxSG, "multi-buffer receive")
}

// probeTxMetadata registers a page of memory with metadata, on a socket of its own.
func probeTxMetadata() Answer {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Answer{Why: fmt.Sprintf("cannot open an AF_XDP socket: %v", err)}
	}
	defer unix.Close(fd)
	const bytes = 1 << 16 // a page, wherever we are
	m, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return Answer{Why: err.Error()}
	}
	defer unix.Munmap(m)
	if err := registerMemory(fd, m, MinChunkBytes, 0, txMetadataBytes); err != nil {
		return Answer{Why: fmt.Sprintf("the kernel refuses it (needs Linux 6.11): %v", err)}
	}
	return Answer{OK: true, Why: "the kernel takes it; what a driver does with it varies"}
}
