package handshake

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

func TestHandshake(t *testing.T) {
	for name, udp := range map[string]bool{"raw": false, "udp": true} {
		w := newWorld(t)
		w.udp = udp
		a, b := w.pair()
		id := w.start(a, b)
		w.settle()
		atA, atB := w.mustUp(a, b)
		if !atA.Initiator || atA.Attempt != id || atA.Key != b.m.Key() || atA.Params != params(b) ||
			atA.Peer.Host != "alpha" || atA.Peer.Key != b.m.Key() || atA.Addr != w.path(a, b) {
			t.Errorf("%s: initiator: %+v", name, atA)
		}
		if atB.Initiator || atB.Own != 0 || atB.Key != a.m.Key() || atB.Params != params(a) ||
			atB.Peer.Key != a.m.Key() || atB.Addr != w.path(b, a) {
			t.Errorf("%s: responder: %+v", name, atB)
		}
		if len(b.asked) != 1 || b.asked[0].Attempt != atB.Attempt || b.asked[0].Params != params(a) {
			t.Errorf("%s: asked: %+v", name, b.asked)
		}
		a.mustRest(t)
		b.mustRest(t)
	}
}

// TestAgain: each handshake makes keys of its own.
func TestAgain(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	w.start(a, b)
	w.settle()
	first, _ := w.mustUp(a, b)
	w.now += 120 * core.Second
	w.start(b, a)
	w.settle()
	if len(a.up) != 2 || len(b.up) != 2 {
		t.Fatalf("up %d and %d", len(a.up), len(b.up))
	}
	w.talk(a.up[1], b.up[1])
	if a.up[1].Keys.Send == first.Keys.Send || a.up[1].Keys.Recv == first.Keys.Recv {
		t.Error("the same keys again")
	}
}

// TestDeterministic: the same bytes of randomness give the same messages and keys.
func TestDeterministic(t *testing.T) {
	run := func() (log []byte) {
		w := newWorld(t)
		a, b := w.pair()
		w.carry = func(_, _ *side, m []byte) [][]byte {
			log = append(log, m...)
			return [][]byte{m}
		}
		w.start(a, b)
		w.settle()
		up, _ := w.mustUp(a, b)
		return append(log, up.Keys.Send[:]...)
	}
	if !bytes.Equal(run(), run()) {
		t.Error("two runs differ")
	}
}

func TestSizes(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	var sizes []int
	w.carry = func(_, _ *side, m []byte) [][]byte {
		sizes = append(sizes, len(m))
		return [][]byte{m}
	}
	w.start(a, b)
	w.settle()
	w.mustUp(a, b)
	if len(sizes) != 2 || sizes[0] != InitBytes || sizes[1] != ReplyBytes ||
		InitBytes != 520 || ReplyBytes != 472 || CookieBytes != 64 {
		t.Errorf("sizes %v, %d, %d, %d", sizes, InitBytes, ReplyBytes, CookieBytes)
	}
}

// TestLoss: whatever is lost, it works in the end, or ends.
func TestLoss(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t)
		a, b := w.pair()
		r := rand.New(rand.NewPCG(seed, 0))
		w.carry = func(_, _ *side, m []byte) [][]byte {
			switch r.IntN(10) {
			case 0, 1, 2:
				return nil
			case 3:
				return [][]byte{m, m}
			}
			return [][]byte{m}
		}
		w.start(a, b)
		w.wait(GiveUpAfter)
		if len(a.up)+len(a.failed) != 1 {
			t.Fatalf("seed %d: up %d, failed %d", seed, len(a.up), len(a.failed))
		}
		if len(a.up) == 1 {
			w.talk(a.up[0], b.up[len(b.up)-1])
		}
		w.wait(answerWithin)
		a.mustRest(t)
		b.mustRest(t)
	}
}

func TestGiveUp(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	sent := 0
	w.carry = func(_, _ *side, _ []byte) [][]byte { sent++; return nil }
	id := w.start(a, b)
	begin := w.now
	w.wait(GiveUpAfter - 1)
	if len(a.failed) != 0 {
		t.Fatal("gave up early")
	}
	w.wait(1)
	if len(a.failed) != 1 || a.failed[0].Attempt != id || w.now-begin != GiveUpAfter {
		t.Fatalf("failed: %+v", a.failed)
	}
	if sent < 6 || sent > 9 { // 0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3 s and jitter
		t.Errorf("%d messages in 15 s", sent)
	}
	mustCount(t, a, ReasonGivenUp, 1)
	a.mustRest(t)
}

// TestBothOpen: the handshake of the smaller key wins, whoever was first and however they cross.
func TestBothOpen(t *testing.T) {
	w := newWorld(t)
	small, large := w.pair()
	ofSmall := w.start(small, large)
	ofLarge := w.start(large, small)
	w.settle()
	atSmall, atLarge := w.mustUp(small, large)
	if !atSmall.Initiator || atSmall.Attempt != ofSmall {
		t.Errorf("smaller key: %+v", atSmall)
	}
	if atLarge.Initiator || atLarge.Own != ofLarge {
		t.Errorf("larger key: %+v", atLarge)
	}
	mustCount(t, small, ReasonCrossed, 1)
	w.wait(GiveUpAfter)
	small.mustRest(t)
	large.mustRest(t)
	w.mustUp(small, large) // and nothing more
}

// TestBothOpenWithLoss: one session in common, and nobody is left without an answer.
func TestBothOpenWithLoss(t *testing.T) {
	for seed := range uint64(30) {
		w := newWorld(t)
		small, large := w.pair()
		r := rand.New(rand.NewPCG(seed, 1))
		w.carry = func(_, _ *side, m []byte) [][]byte {
			if r.IntN(3) == 0 {
				return nil
			}
			return [][]byte{m}
		}
		ids := map[*side]AttemptID{large: w.start(large, small)}
		if seed%2 == 0 {
			w.settle()
		}
		if len(small.up) == 0 {
			ids[small] = w.start(small, large)
		}
		w.wait(2 * GiveUpAfter)
		for s, id := range ids {
			ended := 0
			for _, e := range append(s.up, s.failed...) {
				if e.Attempt == id && e.Initiator || e.Own == id {
					ended++
				}
			}
			if ended != 1 {
				t.Fatalf("seed %d: attempt ended %d times: up %+v, failed %+v", seed, ended, s.up, s.failed)
			}
		}
		if len(small.up) > 0 && len(large.up) > 0 && len(small.failed)+len(large.failed) == 0 {
			w.talk(small.up[len(small.up)-1], large.up[len(large.up)-1])
		}
		small.mustRest(t)
		large.mustRest(t)
	}
}

// TestOvertaken: the peer's handshake was to take the place of ours, and then the answer to ours came
// first. One session comes of it at both ends, and the peer's next message 1 leads to another one.
func TestOvertaken(t *testing.T) {
	w := newWorld(t)
	small, large := w.pair()
	var held [][]byte
	w.carry = func(_, _ *side, m []byte) [][]byte { held = append(held, m); return nil }
	pass := func(from, to *side, m []byte) {
		back := w.path(to, from)
		if r := to.m.Handle(w.now, &back, m); r != OK {
			t.Fatal(r)
		}
	}
	ofLarge := w.start(large, small)
	w.settle()
	pass(large, small, held[0])
	w.settle()
	w.start(small, large)
	w.settle()
	w.idle = true
	pass(small, large, held[2])
	large.turnJobs(w)
	w.settle() // accepted
	writing := large.m.NextJob()
	pass(small, large, held[1])
	large.turnJobs(w)
	writing.Run()
	large.m.Done(w.now, writing)
	w.settle()
	if len(held) != 3 || len(large.up) != 1 || large.up[0].Attempt != ofLarge {
		t.Fatalf("%d messages, up %+v", len(held), large.up)
	}
	mustCount(t, large, ReasonCrossed, 1)
	w.talk(large.up[0], small.up[0])
	w.idle, w.carry = false, nil
	w.wait(core.Second)
	if len(small.up) != 2 || len(large.up) != 2 {
		t.Fatalf("up %d and %d", len(small.up), len(large.up))
	}
	w.talk(small.up[1], large.up[1])
}

// TestGivesWayToTheEnd: an own attempt does not fail while the one that takes its place may succeed.
func TestGivesWayToTheEnd(t *testing.T) {
	w := newWorld(t)
	small, large := w.pair()
	w.carry = func(from, _ *side, m []byte) [][]byte {
		if from == large {
			return nil
		}
		return [][]byte{m}
	}
	own := w.start(large, small)
	w.wait(GiveUpAfter - 1)
	large.deaf = true
	w.start(small, large)
	w.settle()
	w.now++
	large.m.HandleTimeout(w.now)
	w.carry = nil
	if len(large.asked) != 1 || !large.m.Accept(w.now, large.asked[0].Attempt, params(large)) {
		t.Fatal("not asked, or too late")
	}
	w.settle()
	if _, up := w.mustUp(small, large); up.Own != own {
		t.Errorf("took the place of %d, not of %d", up.Own, own)
	}
}

// TestMovedPeer: the larger key's message tells the smaller one where it is now.
func TestMovedPeer(t *testing.T) {
	w := newWorld(t)
	small, large := w.pair()
	nowhere := w.path(small, large)
	nowhere.Flow.DstMAC[0] = 6
	if _, err := small.m.Start(w.now, nowhere, large.m.Key(), params(small)); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.start(large, small)
	w.wait(core.Second)
	w.mustUp(small, large)
}

func TestRefuse(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	b.refuse = true
	w.start(a, b)
	w.wait(GiveUpAfter)
	if len(a.failed) != 1 || len(b.up) != 0 {
		t.Errorf("failed %d, up %d", len(a.failed), len(b.up))
	}
	b.mustRest(t)
	if b.m.Accept(w.now, b.asked[0].Attempt, Params{}) {
		t.Error("accepted what was refused")
	}
}

// TestDeadlines: nothing waits for ever for a job or for Accept.
func TestDeadlines(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	b.deaf = true
	w.start(a, b)
	w.settle()
	w.idle = true
	w.wait(GiveUpAfter)
	if len(a.failed) != 1 {
		t.Errorf("failed %d", len(a.failed))
	}
	mustCount(t, b, ReasonExpired, 1)
	if b.m.Accept(w.now, b.asked[0].Attempt, Params{}) {
		t.Error("accepted what has expired")
	}
	a.mustRest(t)
	b.mustRest(t)

	w.start(a, b) // its job is never done
	w.wait(GiveUpAfter)
	if len(a.failed) != 2 {
		t.Errorf("failed %d", len(a.failed))
	}
	a.mustRest(t)
}

// TestLateJob: a job that comes back after its attempt has ended changes nothing.
func TestLateJob(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	id := w.start(a, b)
	j := a.m.NextJob()
	a.m.Cancel(id)
	j.Run()
	a.m.Done(w.now, j)
	a.mustRest(t)
	w.settle()
	if len(b.asked) != 0 {
		t.Error("a cancelled attempt went on")
	}
	w.start(a, b)
	w.settle()
	w.mustUp(a, b)
}

func TestStartRefuses(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	start := func(key identity.Key) error {
		_, err := a.m.Start(w.now, w.path(a, b), key, Params{})
		return err
	}
	if err := start(a.m.Key()); err != ErrSelf {
		t.Errorf("ourselves: %v", err)
	}
	for i := range maxOut {
		if err := start(identity.Key{1, byte(i), byte(i >> 8)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := start(identity.Key{1, 5}); err != ErrPending {
		t.Errorf("twice: %v", err)
	}
	if err := start(b.m.Key()); err != ErrFull {
		t.Errorf("too many: %v", err)
	}
	a.m.Close()
	if err := start(b.m.Key()); err != ErrClosed {
		t.Errorf("closed: %v", err)
	}
}

func TestClose(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	w.start(a, b)
	job := a.m.NextJob()
	w.start(b, a)
	b.turnJobs(w)
	a.m.Close()
	job.Run()
	a.m.Done(w.now, job)
	w.settle()
	a.mustRest(t)
	mustCount(t, a, ReasonClosed, 1)
	a.m.HandleTimeout(w.now)
	a.m.Cancel(1)
	a.m.Refuse(1)
	if a.m.Accept(w.now, 1, Params{}) {
		t.Error("accepted")
	}
}

// turnJobs does a side's jobs and nothing else.
func (s *side) turnJobs(w *world) {
	for j := s.m.NextJob(); j != nil; j = s.m.NextJob() {
		j.Run()
		s.m.Done(w.now, j)
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	good := w.add(nil)
	for want, spoil := range map[string]func(*Config){
		"needs Trust":           func(c *Config) { c.Trust = nil },
		"Trust and Random":      func(c *Config) { c.Random = nil },
		"malformed certificate": func(c *Config) { c.Certificate = nil },
		"is for another key":    func(c *Config) { c.Private[1]++ },
	} {
		c := Config{
			Private: good.private, Certificate: w.certificate(publicOf(good.private), nil),
			Trust: w.trust, Random: newChaos(1),
		}
		spoil(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := good.m.SetCertificate([]byte("x")); err == nil {
		t.Error("took a certificate that is none")
	}
}

// TestInsecureSides: both or none.
func TestInsecureSides(t *testing.T) {
	insecure := func(c *Config) { c.Insecure = true }
	w := newWorld(t)
	a, b, c := w.add(insecure), w.add(insecure), w.add(nil)
	w.start(a, b)
	w.settle()
	if up, _ := w.mustUp(a, b); !up.Keys.Insecure {
		t.Error("insecure sides have secure keys")
	}
	w.start(a, c)
	w.start(c, b)
	w.settle()
	if len(c.up) != 0 || len(a.up) != 1 || len(b.up) != 1 {
		t.Error("an insecure side talks to a secure one")
	}
	mustCount(t, c, ReasonMode, 1)
	mustCount(t, b, ReasonMode, 1)
}

// TestPrologue: the flag in the clear cannot be changed on the way.
func TestPrologue(t *testing.T) {
	w := newWorld(t)
	a, b := w.add(func(c *Config) { c.Insecure = true }), w.add(nil)
	w.carry = func(_, to *side, m []byte) [][]byte {
		m[atFlags] ^= flagInsecure
		key := to.m.Key()
		return [][]byte{addMACs(m[:len(m)-2*macBytes], &key, &[macBytes]byte{})}
	}
	w.start(a, b)
	w.settle()
	mustCount(t, b, ReasonNoise, 1)
}

func TestText(t *testing.T) {
	for r := range ReasonCount {
		if s := Reason(r).String(); s == "" || s == "reason?" {
			t.Errorf("reason %d has no text", r)
		}
	}
	if Reason(ReasonCount).String() != "reason?" {
		t.Error("text of no reason")
	}
}
