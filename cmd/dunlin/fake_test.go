package main

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dunlin-io/dunlin/iokernel/control"
)

// fakeIokernel serves a control socket as an iokernel does, with answers that the test gives.
type fakeIokernel struct {
	socket   string
	server   *control.Server
	attached chan *control.Session
	detached chan string // why

	mu    sync.Mutex
	loan  *control.LoanGrant
	cores []control.Cores // one for each request, then the last again
}

// newFake starts one that lends the CPUs to the runtime "batch" of this user, and of nobody.
func newFake(t *testing.T, cpus ...int) *fakeIokernel {
	t.Helper()
	f := &fakeIokernel{
		socket:   filepath.Join(publicDir(t), "iokernel.sock"),
		attached: make(chan *control.Session, 8),
		detached: make(chan string, 8),
		loan:     &control.LoanGrant{Class: "be", Owner: 1, Cores: cpus, Most: len(cpus)},
	}
	self := []uint32{uint32(os.Getuid())}
	server, err := control.Listen(control.Options{
		Path: f.socket, Mode: 0o666, GID: -1,
		Policy: control.Policy{
			Rules: []control.Rule{
				{Runtime: "batch", UIDs: append(self, nobody), Guest: true, Lent: true, Cores: len(cpus)},
				{Runtime: "echo", UIDs: self, Lent: true, Cores: len(cpus)},
			},
			StatusUIDs: self,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.server = server
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), f) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return f
}

// answer has the next questions about cores answered by these, the last one for ever.
func (f *fakeIokernel) answer(cores ...control.Cores) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cores = cores
}

func (f *fakeIokernel) Attach(_ context.Context, s *control.Session, h control.Hello) (
	control.Attachment, error,
) {
	f.attached <- s
	return control.Attachment{Grant: control.Grant{
		Runtime: h.Runtime, Mode: h.Mode, Loan: f.loan, FDs: []string{},
	}}, nil
}

func (f *fakeIokernel) Detach(_ *control.Session, reason string) { f.detached <- reason }

func (f *fakeIokernel) Neigh(context.Context, *control.Session, netip.Addr) (
	control.NeighReply, error,
) {
	return control.NeighReply{}, control.Refuse(control.CodeOrder, "not here")
}

func (f *fakeIokernel) Threads(context.Context, *control.Session, []int) error {
	return control.Refuse(control.CodeOrder, "a guest has no workers")
}

func (f *fakeIokernel) Status(context.Context) (control.Status, error) {
	return control.Status{}, nil
}

func (f *fakeIokernel) Cores(_ context.Context, decisions int) (control.Cores, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.cores) == 0 {
		return control.Cores{}, control.Refuse(control.CodeOrder, "no cores are lent")
	}
	c := f.cores[0]
	if len(f.cores) > 1 {
		f.cores = f.cores[1:]
	}
	c.Decisions = c.Decisions[:min(decisions, len(c.Decisions))]
	return c, nil
}
