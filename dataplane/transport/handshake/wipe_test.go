package handshake

import (
	"testing"

	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
)

// mustHaveNoSecret demands that nothing is left of what a job had.
func mustHaveNoSecret(t *testing.T, what string, j *Job) {
	t.Helper()
	if j.random != [32]byte{} || j.keys.Send != (seal.Secret{}) || j.keys.Recv != (seal.Secret{}) {
		t.Errorf("%s: random bytes or keys are still in memory", what)
	}
	if j.noise == nil {
		return
	}
	for _, b := range [][]byte{j.noise.curve.staticBytes, j.noise.curve.ephemeralBytes} {
		for _, c := range b {
			if c != 0 {
				t.Fatalf("%s: a private key is still in memory", what)
			}
		}
	}
}

// TestJobsKeepNoSecrets: whoever gets the keys of a handshake has them alone, and what is given up or
// closed leaves none behind.
func TestJobsKeepNoSecrets(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	var jobs []*Job
	run := func(s *side) {
		for j := s.m.NextJob(); j != nil; j = s.m.NextJob() {
			j.Run()
			s.m.Done(w.now, j)
			jobs = append(jobs, j)
		}
		w.turn(s)
	}
	w.start(a, b)
	for range 4 {
		run(a)
		run(b)
	}
	w.mustUp(a, b)
	if len(jobs) != 4 {
		t.Fatalf("%d jobs", len(jobs))
	}
	for _, j := range jobs {
		mustHaveNoSecret(t, "done", j)
	}

	id := w.start(a, b)
	given := a.m.jobs[0]
	a.m.Cancel(id)
	mustHaveNoSecret(t, "given up", given)

	w.start(a, b)
	closed := a.m.jobs[0]
	a.m.Close()
	mustHaveNoSecret(t, "closed", closed)

	w.start(b, a)
	late := b.m.NextJob()
	late.Run()
	b.m.Close()
	b.m.Done(w.now, late)
	mustHaveNoSecret(t, "too late", late)
}
