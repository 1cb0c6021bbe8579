// Package bpf holds dunlin's programs that run inside the kernel, and loads them.
//
//	NIC queue -> steer ----- not ours -----> kernel stack          (any interface that is shared)
//	               |
//	               +-- ours -> XSKMAP[queue] -> AF_XDP socket
//
//	NIC queue -> redirect -> XSKMAP[queue] -> AF_XDP socket        (floors and load generators)
//
//	steer -- copy of frame, verdict and reason -> perf ring per CPU -> Capture    (on demand)
//
// The C sources say what each program does with which frame. The objects are committed; gen.go
// rebuilds them with clang-19, and a test compares the bytes.
//
// The package does not attach an XDP program to an interface, open sockets, or decide what is
// taken: package xdp and the iokernel do. It never sees a frame, except that Capture copies them to
// a reader. All of it is control plane: any goroutine may call it, none of it belongs on a
// dataplane core.
//
// Whoever loads a program owns its kernel objects and closes them; a program that was attached in
// the meantime lives on for as long as the attachment does, as do the maps it uses.
//
// Linking the package in runs a probe of memory accounting at start-up (cilium/ebpf/rlimit):
// kernels before 5.11 charge BPF memory to RLIMIT_MEMLOCK, which is raised there and left alone
// elsewhere.
package bpf

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// A LoadError says which program the kernel refused and, where that is known, what it takes.
type LoadError struct {
	Program string // "steer", "redirect", "capture"
	Advice  string // what to do about it; may be empty
	Err     error  // the kernel's answer; an *ebpf.VerifierError prints the log with %+v
}

func (e *LoadError) Error() string {
	if e.Advice == "" {
		return fmt.Sprintf("bpf: load %s: %v", e.Program, e.Err)
	}
	return fmt.Sprintf("bpf: load %s: %v (%s)", e.Program, e.Err, e.Advice)
}

func (e *LoadError) Unwrap() error { return e.Err }

// load creates spec's maps and programs in the kernel and assigns them to objects. capabilities is
// what the kernel asks of the caller.
func load(name, capabilities string, spec *ebpf.CollectionSpec, objects any) error {
	if err := rlimit.RemoveMemlock(); err != nil {
		advice := "needs CAP_SYS_RESOURCE before Linux 5.11"
		return &LoadError{Program: name, Err: err, Advice: advice}
	}
	err := spec.LoadAndAssign(objects, nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return &LoadError{Program: name, Err: err, Advice: "needs " + capabilities + ", or root"}
	default:
		return &LoadError{Program: name, Err: err}
	}
}

// setXDP fills in what an XDP program's object leaves to its loader: the number of queues (slots of
// the socket map), and whether it accepts frames that span several buffers.
func setXDP(name string, spec *ebpf.CollectionSpec, queues int, frags bool) error {
	if queues < 1 || queues > MaxQueues {
		err := fmt.Errorf("%d queues: want 1 to %d", queues, MaxQueues)
		return &LoadError{Program: name, Err: err}
	}
	spec.Maps["xsks"].MaxEntries = uint32(queues)
	if !frags {
		return nil
	}
	// The helper came in the same release as the flag, and unlike the flag it can be asked for.
	if err := features.HaveProgramHelper(ebpf.XDP, asm.FnXdpGetBuffLen); err != nil {
		return &LoadError{Program: name, Err: err, Advice: "multi-buffer frames need Linux 5.18"}
	}
	spec.Programs[name].Flags |= unix.BPF_F_XDP_HAS_FRAGS
	return nil
}

// MaxQueues bounds the queues of one interface, in queues. Origin: veth's limit, which is the
// highest of the drivers in Linux 6.18.
const MaxQueues = 4096
