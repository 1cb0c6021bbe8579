package sessions

import (
	"errors"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// lookEvery is how often the clocks are looked at while nothing is due: the time of day may have
// been set, and timers stand still while a machine sleeps.
const lookEvery = time.Minute

// clockOff is how far the endpoint's time of day may be off before it is corrected. (guess: far
// below the second that certificates count in)
const clockOff = 100 * time.Millisecond

// Certificate is where the runtime's own certificate stands. The zero value: there is none,
// sessions are insecure.
type Certificate struct {
	NotAfter time.Time // peers believe it until then, by their clocks
	Renewed  uint64    // times
	Failed   uint64    // attempts
	// Err is why the last attempt failed, nil if it did not. Attempts go on until the runtime is
	// closed, also after NotAfter; with Err and a NotAfter that is past no session comes about.
	Err error
}

// renewer is what the certificate's keeper knows.
type renewer struct {
	asking sync.Mutex // held for an attempt; over the identity
	begun  time.Time

	mu    sync.Mutex
	state Certificate
	plan  plan
}

// begin notes the first certificate.
func (r *renewer) begin(notAfter int64) {
	r.begun = time.Now()
	r.took(notAfter)
}

// now is the present on both clocks.
func (r *renewer) now() instant {
	t := time.Now()
	return instant{wall: t.UnixNano(), steady: t.Sub(r.begun)}
}

func (r *renewer) took(notAfter int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.NotAfter = time.Unix(notAfter, 0)
	r.plan.took(r.now(), r.state.NotAfter.UnixNano())
}

// Certificate is where the certificate stands. Any goroutine may ask.
func (s *Sessions) Certificate() Certificate {
	s.renewer.mu.Lock()
	defer s.renewer.mu.Unlock()
	return s.renewer.state
}

// NotAfter is until when the certificate lasts; the zero time if there is none.
func (s *Sessions) NotAfter() time.Time { return s.Certificate().NotAfter }

// Renew gets the certificate signed for another day now, and whom to believe from the cluster file
// as it is now. That happens by itself in time; call it to have a change of the file at once. It
// blocks, and is not for the worker's thread.
func (s *Sessions) Renew() error {
	if s.identity == nil {
		return nil
	}
	s.renewer.asking.Lock()
	defer s.renewer.asking.Unlock()
	err := s.renew()
	r := &s.renewer
	if err == nil {
		r.took(s.identity.Is.NotAfter)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Err = err; err == nil {
		r.state.Renewed++
	} else {
		r.state.Failed++
	}
	return err
}

func (s *Sessions) renew() error {
	if err := s.rt.Renew(s.identity); err != nil {
		return err
	}
	var err error
	gone := s.Do(func(_ core.Time, e *transport.Endpoint) {
		err = e.Renew(s.identity.Certificate, s.identity.Cluster.Trust())
	})
	return errors.Join(gone, err)
}

// keepCertified renews the certificate until the runtime is closed. It asks the iokernel, which may
// take seconds to answer; closing the runtime ends that.
func (s *Sessions) keepCertified() {
	unix := unixAtZero()
	for {
		r := &s.renewer
		r.mu.Lock()
		wait := r.plan.due(r.now())
		r.mu.Unlock()
		if wait > 0 {
			select {
			case <-s.closed:
				return
			case <-time.After(min(wait, lookEvery)):
			}
			unix = s.keepTime(unix)
			continue
		}
		if err := s.Renew(); err != nil {
			if errors.Is(err, ErrClosed) {
				return
			}
			r.mu.Lock()
			r.plan.failed(r.now())
			r.mu.Unlock()
		}
	}
}

// keepTime tells the endpoint the time of day, if that was set.
func (s *Sessions) keepTime(unix int64) int64 {
	is := unixAtZero()
	if off := time.Duration(is - unix); off.Abs() < clockOff {
		return unix
	}
	if err := s.Do(func(_ core.Time, e *transport.Endpoint) { e.SetUnix(is) }); err != nil {
		return unix // closed, as the caller will see
	}
	return is
}

// unixAtZero is the time of day at core.Time 0, in ns since 1970.
func unixAtZero() int64 { return time.Now().UnixNano() - int64(pin.NewClock().Now()) }
