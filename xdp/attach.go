package xdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Attached describes a program that is attached to an interface.
type Attached struct {
	ID   uint32
	Name string // as its author called it, cut to 15 bytes; empty if we may not ask
	Mode Mode   // Auto if it is in more than one place
}

// String names the program as bpftool lists it.
func (a Attached) String() string {
	if a.Name == "" {
		return fmt.Sprintf("%d (%s)", a.ID, a.Mode)
	}
	return fmt.Sprintf("%d %q (%s)", a.ID, a.Name, a.Mode)
}

// attach links the program to the interface in the wanted mode. The link is the only thing that
// holds the attachment: it goes with this process, however that ends. Nothing is ever replaced by a
// link.
func (i *Interface) attach(o Options) error {
	if o.Mode == Generic {
		return i.attachAs(o, Generic)
	}
	err := i.attachAs(o, Native)
	if err == nil || o.Mode == Native || errors.Is(err, unix.EPERM) {
		return err
	}
	var foreign *ForeignError
	if errors.As(err, &foreign) {
		return err
	}
	if gerr := i.attachAs(o, Generic); gerr != nil {
		return errors.Join(err, gerr)
	}
	why := errors.Unwrap(err).Error()
	if n := i.features.Native; !n.OK {
		why = n.Why
	}
	i.fallbacks = append(i.fallbacks, Fallback{"native XDP", "generic XDP", why})
	return nil
}

func (i *Interface) attachAs(o Options, mode Mode) error {
	flags := link.XDPDriverMode
	if mode == Generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{
		Program:   o.Program.Program(),
		Interface: i.features.Index,
		Flags:     flags,
	})
	switch {
	case err == nil:
		i.link, i.mode = l, mode
		return nil
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST): // somebody came since the probe
		f, perr := Probe(o.Interface)
		if perr == nil && f.Attached != nil {
			return &ForeignError{Interface: o.Interface, Program: *f.Attached}
		}
	case errors.Is(err, unix.ERANGE) && mode == Native:
		err = fmt.Errorf("%w: the driver takes no MTU of %d with this program", err, i.features.MTU)
	case errors.Is(err, unix.EPERM):
		err = fmt.Errorf("%w (needs CAP_BPF and CAP_NET_ADMIN, or root)", err)
	}
	return fmt.Errorf("xdp: attach %s program to %s: %w", mode, o.Interface, err)
}

// attachedName asks what a program is called; not knowing is no error.
func attachedName(id uint32) string {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return ""
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return ""
	}
	return info.Name
}
