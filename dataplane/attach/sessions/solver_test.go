package sessions

import (
	"crypto/ecdh"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// newMachine makes one with a throw-away identity, which hands out jobs: each begins a handshake with
// somebody else.
func newMachine(t *testing.T) (m *handshake.Machine, job func() *handshake.Job) {
	t.Helper()
	c, err := Throwaway("runtime")
	if err != nil {
		t.Fatal(err)
	}
	if m, err = handshake.New(c); err != nil {
		t.Fatal(err)
	}
	keys := rand.NewChaCha8([32]byte{})
	return m, func() *handshake.Job {
		var random [identity.KeyBytes]byte
		_, _ = keys.Read(random[:]) // cannot fail
		private, err := ecdh.X25519().NewPrivateKey(random[:])
		if err != nil {
			t.Fatal(err)
		}
		peer := identity.Key(private.PublicKey().Bytes())
		if _, err := m.Start(core.Second, handshake.Addr{}, peer, handshake.Params{}); err != nil {
			t.Fatal(err)
		}
		return m.NextJob()
	}
}

// TestSolverAnswersAndWakes: each job comes back once, and whoever waits is woken after each.
func TestSolverAnswersAndWakes(t *testing.T) {
	m, job := newMachine(t)
	woken := make(chan struct{}, queued)
	s := NewSolver(func() { woken <- struct{}{} })
	if j := s.Solved(); j != nil {
		t.Fatal("an answer to nothing")
	}
	const jobs = 5
	for range jobs {
		if !s.Submit(job()) {
			t.Fatal("no room for a job")
		}
	}
	messages := 0
	var b [handshake.MaxBytes]byte
	for range jobs {
		<-woken
		j := s.Solved()
		if j == nil {
			t.Fatal("woken without an answer")
		}
		m.Done(core.Second, j)
		for _, n := m.NextMessage(b[:]); n > 0; _, n = m.NextMessage(b[:]) {
			messages++
		}
	}
	if s.Solved() != nil || messages != jobs {
		t.Errorf("%d jobs made %d messages", jobs, messages)
	}
	s.Close()
	s.Close()
}

// TestSolverIsBounded: a worker that takes no answers finds no room at some time, and a solver whose
// queues are full ends all the same.
func TestSolverIsBounded(t *testing.T) {
	_, job := newMachine(t)
	s := NewSolver(func() {})
	const most = 2*queued + 1 // in both queues, and in hand
	refused := false
	for n := 0; !refused; n++ {
		if n > most {
			t.Fatalf("it took %d jobs", n)
		}
		refused = !s.Submit(job())
	}
	s.Close()
	if len(s.jobs)+len(s.answers) != 0 {
		t.Error("what nobody takes is kept, with its secrets")
	}
}
