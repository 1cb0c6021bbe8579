package bpf

import "github.com/cilium/ebpf"

// Redirect is the program that sends every frame to the socket of its queue and looks at nothing:
// the floor for measurements, and what a load generator attaches to an interface of its own.
type Redirect struct {
	objects redirectObjects
}

// LoadRedirect loads the program for an interface with that many receive queues. With frags it
// takes frames that span several buffers; both program and socket must, or such frames are lost.
func LoadRedirect(queues int, frags bool) (*Redirect, error) {
	spec, err := loadRedirect()
	if err != nil {
		return nil, &LoadError{Program: redirectProgRedirect, Err: err}
	}
	if err := setXDP(redirectProgRedirect, spec, queues, frags); err != nil {
		return nil, err
	}
	r := new(Redirect)
	if err := load(redirectProgRedirect, xdpCapabilities, spec, &r.objects); err != nil {
		return nil, err
	}
	return r, nil
}

// Program is what is attached to the interface. It belongs to r.
func (r *Redirect) Program() *ebpf.Program { return r.objects.Redirect }

// Sockets maps receive queue to AF_XDP socket. It belongs to r.
func (r *Redirect) Sockets() *ebpf.Map { return r.objects.Xsks }

// Close frees the kernel objects that no attachment keeps alive.
func (r *Redirect) Close() error { return r.objects.Close() }
