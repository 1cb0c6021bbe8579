// Package exit gives the programs of this repository one table of exit codes, and prints why they
// failed.
//
// Errors carry their meaning already: packages wrap the kernel's errors and have types of their own
// for what they refuse. Of reads that, so that commands just return errors. Where an error cannot
// tell, As says it. Nothing here exits; main does.
package exit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/xdp"
)

// Code is how a program ended.
type Code int

// The codes. They are part of the interface: scripts and service managers rely on them.
const (
	OK          Code = iota
	Failure          // anything that the others do not say
	Usage            // trying again is no use before somebody changes command line or configuration
	Denied           // a capability, a permission or a line in the configuration is missing
	Busy             // somebody else has what is needed
	Absent           // what is needed is not there, or went away: trying again later may help
	Unsupported      // this kernel or driver cannot do it
)

// Table is the codes for --help.
const Table = `Exit codes:
  0  done, or stopped by SIGINT or SIGTERM
  1  failed at run time
  2  wrong command line or configuration
  3  not permitted: a capability, a file's permissions, or the iokernel's configuration
  4  in use by somebody else: socket, port, queue, XDP program, runtime's name
  5  not there, or gone: interface, iokernel
  6  this kernel or driver cannot do that`

// coded is an error whose code somebody has decided.
type coded struct {
	error
	code Code
}

func (c coded) Unwrap() error { return c.error }

// As gives err a code of its own. It returns nil for nil.
func As(code Code, err error) error {
	if err == nil {
		return nil
	}
	return coded{err, code}
}

// status is the end of another program, which has said itself what there was to say.
type status Code

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// Status is the error of a program that ends as one that it ran: Report writes nothing for it. It
// is nil for OK.
func Status(code Code) error {
	if code == OK {
		return nil
	}
	return status(code)
}

// Of is the code of an error: OK for nil.
func Of(err error) Code {
	var (
		said    coded
		ended   status
		problem *config.Problem
		refusal *control.Refusal
		foreign *xdp.ForeignError
		owned   *xdp.OwnedError
	)
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return OK
	case errors.As(err, &said):
		return said.code
	case errors.As(err, &ended):
		return Code(ended)
	case errors.As(err, &problem), is(xdp.ErrDefaultRoute):
		return Usage
	case errors.As(err, &refusal):
		return ofRefusal(refusal.Code)
	case errors.As(err, &foreign), errors.As(err, &owned),
		is(control.ErrRunning, bpf.ErrBusy, unix.EBUSY, unix.EADDRINUSE):
		return Busy
	case is(fs.ErrPermission):
		return Denied
	case is(attach.ErrGone, control.ErrGone, fs.ErrNotExist, unix.ECONNREFUSED, unix.ENODEV):
		return Absent
	case is(ebpf.ErrNotSupported, unix.EOPNOTSUPP, unix.ENOSYS, unix.EAFNOSUPPORT):
		return Unsupported
	}
	return Failure
}

func ofRefusal(code control.Code) Code {
	switch code {
	case control.CodeDenied:
		return Denied
	case control.CodeBusy:
		return Busy
	}
	return Failure
}

// Report writes what went wrong, each line with the program's name before it (once), as logs and
// other programs' output may stand around it. A nil error is nothing, and so is a Status.
func Report(w io.Writer, program string, err error) {
	if _, quiet := err.(status); err == nil || quiet {
		return
	}
	for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		fmt.Fprintf(w, "%s: %s\n", program, strings.TrimPrefix(line, program+": "))
	}
}
