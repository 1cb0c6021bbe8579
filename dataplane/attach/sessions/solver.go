package sessions

import (
	"sync"

	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
)

// queued is how many jobs wait for the solver, and how many answers for the worker: what a burst of
// handshakes asks for at once. (guess: all that strangers may have under way, twice)
const queued = 64

// Solver does the arithmetic of handshakes on one goroutine, outside of any worker's turn.
//
//	worker ─Submit─> [queued] ─> goroutine: Run ─> [queued] ─Solved─> worker
//	                                  └─ wake, after each answer
//
// Submit and Solved are for one worker's thread and do not block; the goroutine waits when the
// worker does not take its answers.
type Solver struct {
	jobs, answers chan *handshake.Job
	stop          chan struct{}
	once          sync.Once
	ended         chan struct{}
}

// NewSolver starts one. Wake is called on its goroutine after each answer.
func NewSolver(wake func()) *Solver {
	s := &Solver{
		jobs: make(chan *handshake.Job, queued), answers: make(chan *handshake.Job, queued),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	go s.run(wake)
	return s
}

func (s *Solver) run(wake func()) {
	defer close(s.ended)
	for {
		select {
		case <-s.stop:
			return
		case j := <-s.jobs:
			j.Run()
			select {
			case s.answers <- j:
				wake()
			case <-s.stop:
				j.Wipe()
				return
			}
		}
	}
}

// Submit takes a job; false: so many are under way, try again when one is Solved.
func (s *Solver) Submit(j *handshake.Job) bool {
	select {
	case s.jobs <- j:
		return true
	default:
		return false
	}
}

// Solved is a job that was run, or nil.
func (s *Solver) Solved() *handshake.Job {
	select {
	case j := <-s.answers:
		return j
	default:
		return nil
	}
}

// Close ends the goroutine and waits for that: wake is not called afterwards. What was not solved,
// or not taken, is forgotten with its secrets. A second Close does nothing.
func (s *Solver) Close() {
	s.once.Do(func() { close(s.stop) })
	<-s.ended
	for _, left := range [...]chan *handshake.Job{s.jobs, s.answers} {
		for len(left) > 0 {
			(<-left).Wipe()
		}
	}
}
