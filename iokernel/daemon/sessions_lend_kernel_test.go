package daemon

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/attach/sessions"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// lentTalkers are a runtime a with a CPU of its own, beside both iokernels, and b behind another
// iokernel, on the one core that this lends, which a runtime that computes has whenever b does
// nothing.
type lentTalkers struct {
	a, b *talker
	ends [2]*Daemon
	toB  transport.Path
	toA  transport.Path
}

// newLentHosts makes the two iokernels; b is of that class.
func newLentHosts(t *testing.T, class config.Class) (*lab.Lab, [2]*Daemon) {
	t.Helper()
	l := newLab(t, lab.PairOptions{})
	return l, hostsWith(t, l, false, func(side lab.Side, o *Options) {
		if side == lab.B {
			lendingOptions(t, o)
			if b := &o.Config.Runtimes[0]; class != b.Class {
				b.Class, b.Reserved = class, 0
			}
			return
		}
		o.Config.CPU, o.Config.Runtimes[0].CPUs = 0, []int{0}
	})
}

func newLentTalkers(t *testing.T, class config.Class, spin attach.Spin, o sessions.Options,
) *lentTalkers {
	t.Helper()
	l, ends := newLentHosts(t, class)
	k := &lentTalkers{
		ends: ends, toB: paths(l)["raw"],
		toA: transport.RawPath(l.End(lab.B).MAC, l.End(lab.A).MAC),
		a:   newTalker(t, attach.Options{Name: "echo", Socket: ends[lab.A].Socket()}, o),
		b: newTalker(t, attach.Options{
			Name: "echo", Socket: ends[lab.B].Socket(), Spin: spin,
		}, o),
	}
	startChild(t, "compute", ends[lab.B].Socket(), batchName, modeMediated)
	return k
}

// lost waits until the one that computes has had the core for so long since, which b has not then.
func (k *lentTalkers) lost(t *testing.T, since, long core.Time) {
	t.Helper()
	awaitIdle(t, "the runtime that computes has the core", func() bool {
		return user(coresOf(t, k.ends[lab.B]), batchName).Time-since > long
	})
}

// had is for how long the one that computes has had the core.
func (k *lentTalkers) had(t *testing.T) core.Time {
	t.Helper()
	return user(coresOf(t, k.ends[lab.B]), batchName).Time
}

// sound wants that nobody lied or lost frames, and that the cores' times add up.
func (k *lentTalkers) sound(t *testing.T) {
	t.Helper()
	d := k.ends[lab.B]
	if n := d.untrue("echo"); n > 0 {
		t.Errorf("%d statements that cannot be: %v", n, d.nonsenseOf("echo"))
	}
	if err := coresAddUp(coresOf(t, d)); err != nil {
		t.Error(err)
	}
	for _, end := range []*talker{k.a, k.b} {
		end.do(func(now core.Time, e *transport.Endpoint) error { return e.Audit(now) })
	}
}

// TestRuntimesTalkOnALentCore: a service whose core another has meanwhile answers calls of every
// size and has its memory written to, and calls others itself.
func TestRuntimesTalkOnALentCore(t *testing.T) {
	k := newLentTalkers(t, config.ClassLC, attach.Spin{}, sessions.Options{})
	had, before := k.had(t), user(coresOf(t, k.ends[lab.B]), "echo")
	for range 2 {
		talk(t, k.a, k.b, k.toB, mediatedBytes)
	}
	id := k.b.connect(transport.Peer{Path: k.toA, Key: k.a.s.Key()})
	theirs := take(t, "session at the peer", k.a.up)
	for n := range 100 {
		k.b.call(id, make([]byte, 64+n))
		k.a.call(theirs, make([]byte, 64+n))
		time.Sleep(time.Millisecond) // in which the other has the core
	}
	k.b.call(id, make([]byte, mediatedBytes-transport.MaxHeaderBytes))
	k.lost(t, had, 10*core.Millisecond)
	after := user(coresOf(t, k.ends[lab.B]), "echo")
	if after.Grants-before.Grants < 20 {
		t.Errorf("it got the core %d times", after.Grants-before.Grants)
	}
	if n := len(k.a.down) + len(k.b.down); n > 0 {
		t.Errorf("%d sessions ended", n)
	}
	k.sound(t)
}

// TestBestEffortHasSessions: two runtimes of the lowest class have the core in turn, and what others
// leave of the CPU; so the calls are few and short.
func TestBestEffortHasSessions(t *testing.T) {
	k := newLentTalkers(t, config.ClassBE, attach.Spin{}, sessions.Options{})
	had := k.had(t)
	id := k.a.connect(transport.Peer{Path: k.toB, Key: k.b.s.Key()})
	theirs := take(t, "session at the peer", k.b.up)
	for n := range 5 {
		k.a.call(id, make([]byte, 64+n))
		k.b.call(theirs, make([]byte, 64+n))
	}
	k.lost(t, had, core.Millisecond)
	if n := len(k.a.down) + len(k.b.down); n > 0 {
		t.Errorf("%d sessions ended", n)
	}
	k.sound(t)
}

// TestSessionWithoutACore: a session that nobody uses is kept alive by timers while another has the
// core, asks and is asked for signs of life, and afterwards calls and Do are answered in it. What a
// call waits for then is the pass that sees the frame and a hand-over. A worker with nothing to do
// waits for others to take its core, or parks by itself.
func TestSessionWithoutACore(t *testing.T) {
	for name, spin := range map[string]attach.Spin{
		"polls": attach.SpinFor(core.Never), "parks": attach.SpinFor(0),
	} {
		t.Run(name, func(t *testing.T) { beQuiet(t, spin) })
	}
}

func beQuiet(t *testing.T, spin attach.Spin) {
	t.Helper()
	k := newLentTalkers(t, config.ClassLC, spin, sessions.Options{Transport: transport.Config{
		KeepAlive: core.Second / 20,
	}})
	id := k.a.connect(transport.Peer{Path: k.toB, Key: k.b.s.Key()})
	theirs := take(t, "session at the peer", k.b.up)
	for range 3 {
		had := k.had(t)
		time.Sleep(time.Second)
		k.lost(t, had, core.Second/4)
		begun := time.Now()
		k.a.call(id, []byte("are you there"))
		t.Logf("a call after a second was answered within %v", time.Since(begun))
	}
	for range 3 {
		had := k.had(t)
		k.lost(t, had, core.Second/20)
		begun := time.Now()
		k.b.do(func(_ core.Time, e *transport.Endpoint) error {
			_, err := e.Who(theirs)
			return err
		})
		t.Logf("Do without a core took %v", time.Since(begun))
		k.b.call(theirs, []byte("I am here"))
	}
	if n := len(k.a.down) + len(k.b.down); n > 0 {
		t.Errorf("%d sessions ended", n)
	}
	k.sound(t)
}

// TestRenewalWithoutACore: sessions that a runtime without a core has begun are renewed in time, by
// its timers and its solver, though no frame comes for it and nobody asks anything of it.
func TestRenewalWithoutACore(t *testing.T) {
	const renewals = 3
	k := newLentTalkers(t, config.ClassLC, attach.Spin{}, sessions.Options{
		Transport: transport.Config{RenewAfter: core.Second / 4},
	})
	had := k.had(t)
	k.b.connect(transport.Peer{Path: k.toA, Key: k.a.s.Key()})
	for n := range renewals {
		take(t, "a successor", k.b.up)
		if n > 0 {
			if cause := take(t, "end of an old session", k.b.down); cause != transport.CauseReplaced {
				t.Errorf("an old session ended for cause %v", cause)
			}
		}
	}
	k.lost(t, had, core.Second/10)
	k.sound(t)
}

// TestCloseWithoutACore: a runtime that is closed while others ask things of it, and while another
// has its core, ends; whoever asks is told; and its next incarnation has sessions.
func TestCloseWithoutACore(t *testing.T) {
	l, ends := newLentHosts(t, config.ClassLC)
	d := ends[lab.B]
	a := newTalker(t, attach.Options{Name: "echo", Socket: ends[lab.A].Socket()},
		sessions.Options{})
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	for n := range 3 {
		rt := openRuntime(t, attach.Options{Name: "echo", Socket: d.Socket()})
		s, err := sessions.Open(rt, sessions.Options{},
			func(core.Time, *transport.Endpoint, transport.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- rt.Run(ctx) }()
		a.connect(transport.Peer{Path: paths(l)["raw"], Key: s.Key()})
		var asking sync.WaitGroup
		answers := make(chan struct{}, 4)
		for range cap(answers) {
			asking.Go(func() { askUntilClosed(t, s, answers) })
		}
		for range cap(answers) {
			take(t, "an answer", answers)
		}
		if n == 0 { // nobody asks any more, and it has no core
			had := user(coresOf(t, d), batchName).Time
			awaitIdle(t, "the runtime that computes has the core", func() bool {
				return user(coresOf(t, d), batchName).Time > had
			})
		}
		cancel()
		if err := take(t, "the end of the runtime", done); err != nil {
			t.Error(err)
		}
		asking.Wait()
		await(t, "it is detached", func() bool { return d.attachmentOf("echo") == nil })
		await(t, "all memory is in the books", func() bool { return d.conserved() == nil })
	}
	if err := coresAddUp(coresOf(t, d)); err != nil {
		t.Error(err)
	}
}

// askUntilClosed asks again and again, and says so the first time.
func askUntilClosed(t *testing.T, s *sessions.Sessions, answers chan<- struct{}) {
	for n := 0; ; n++ {
		switch err := s.Do(func(core.Time, *transport.Endpoint) {}); {
		case errors.Is(err, sessions.ErrClosed):
			return
		case err != nil:
			t.Error(err)
			return
		case n == 0:
			answers <- struct{}{}
		}
		time.Sleep(time.Duration(core.Millisecond))
	}
}
