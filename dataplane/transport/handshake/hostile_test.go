package handshake

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// captured is a message 1 of a, and the answer to it, which nobody else has seen.
func captured(w *world, a, b *side) (init []byte) {
	w.t.Helper()
	w.carry = func(_, _ *side, m []byte) [][]byte { init = m; return nil }
	w.start(a, b)
	w.settle()
	w.carry = nil
	if len(init) != InitBytes {
		w.t.Fatalf("captured %d bytes", len(init))
	}
	return init
}

// arrive hands b a message and does what follows, a second later than the last one.
func (w *world) arrive(from, to *side, m []byte) {
	w.now += core.Second
	back := w.path(to, from)
	to.m.Handle(w.now, &back, bytes.Clone(m))
	to.turnJobs(w)
}

// withMACs makes the MACs of a changed message right, as anybody can who knows the key of to.
func withMACs(m []byte, to *side) []byte {
	key := to.m.Key()
	end := len(m) - 2*macBytes
	return addMACs(bytes.Clone(m[:end]), &key, &[macBytes]byte{})
}

func flipped(m []byte, bit int) []byte {
	m = bytes.Clone(m)
	m[bit/8] ^= 1 << (bit % 8)
	return m
}

// mustIgnore demands that b has no session, no attempt and no memory of a.
func mustIgnore(t *testing.T, what string, b *side) {
	t.Helper()
	if len(b.m.in)+len(b.m.events)+len(b.m.messages)+len(b.m.peers) != 0 {
		t.Fatalf("%s: %d in, %d events, %d messages, %d peers; %v", what, len(b.m.in),
			len(b.m.events), len(b.m.messages), len(b.m.peers), b.counted())
	}
}

// TestDamagedInit flips each bit and cuts at each byte of a message 1, with MACs as they came and
// with MACs made right.
func TestDamagedInit(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	init := captured(w, a, b)
	for n := range init {
		w.arrive(a, b, init[:n])
	}
	w.arrive(a, b, append(bytes.Clone(init), 0))
	mustIgnore(t, "cut", b)
	mustCount(t, b, ReasonLength, InitBytes+1)

	mac2 := (InitBytes - macBytes) * 8 // which nobody looks at without load
	for bit := range mac2 {
		w.arrive(a, b, flipped(init, bit))
	}
	mustIgnore(t, "a bit flipped", b)
	if n := b.m.Count(OK); n != 0 {
		t.Errorf("%d damaged messages led to jobs", n)
	}

	noise := headBytes * 8
	for bit := noise; bit < noise+noiseInit*8; bit++ {
		w.arrive(a, b, withMACs(flipped(init, bit), b))
	}
	mustIgnore(t, "a bit flipped, with a MAC", b)
	// The top bit of a public key means nothing to X25519, but it does to the hash.
	mustCount(t, b, ReasonNoise, noiseInit*8)

	w.arrive(a, b, init) // the true one is still good
	if len(b.m.events) != 1 {
		t.Errorf("the true message: %v", b.counted())
	}
}

// TestDamagedReply does the same to a message 2: the attempt is not disturbed.
func TestDamagedReply(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	var reply []byte
	w.carry = func(from, _ *side, m []byte) [][]byte {
		if from == b {
			reply = m
			return nil
		}
		return [][]byte{m}
	}
	w.start(a, b)
	w.settle()
	now := w.now
	mine := a.m.out[0]
	damaged := func(m []byte) {
		mine.bad = 0
		w.arrive(b, a, m)
		w.now = now
		if len(a.m.out) != 1 || mine.state != waiting || len(a.m.events) != 0 {
			t.Fatalf("a damaged reply counted: %v", a.counted())
		}
	}
	for n := range reply {
		damaged(reply[:n])
	}
	for bit := range (ReplyBytes - macBytes) * 8 {
		damaged(flipped(reply, bit))
	}
	if n := a.m.Count(OK); n != 0 {
		t.Errorf("%d damaged messages led to jobs", n)
	}
	for bit := headBytes * 8; bit < (headBytes+noiseReply)*8; bit++ {
		damaged(withMACs(flipped(reply, bit), a))
	}
	mustCount(t, a, ReasonNoise, noiseReply*8)

	mine.bad = 0
	w.arrive(b, a, reply)
	w.now = now
	w.settle()
	w.mustUp(a, b)
}

// TestFalseReplies: whoever sees the number of an attempt cannot make us do arithmetic for ever.
func TestFalseReplies(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	init := captured(w, a, b)
	forged := make([]byte, 0, ReplyBytes)
	forged = append(forged, kindReply, Version, 0, 0)
	forged = append(forged, init[atNumber:headBytes]...)
	forged = withMACs(forged[:ReplyBytes], a)
	for range 100 {
		back := w.path(a, b)
		a.m.Handle(w.now, &back, forged)
		a.m.Handle(w.now, &back, forged) // while a job is under way
		a.turnJobs(w)
	}
	mustCount(t, a, ReasonWeak, maxBad)
	mustCount(t, a, ReasonUnknown, 200-maxBad)
	w.wait(core.Second)
	w.mustUp(a, b)
}

// TestReplay: a message 1 is good once, from wherever it comes.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	var first []byte
	w.carry = func(from, _ *side, m []byte) [][]byte {
		if from == a && first == nil {
			first = bytes.Clone(m)
		}
		return [][]byte{m}
	}
	w.start(a, b)
	w.settle()
	w.mustUp(a, b)
	third := w.add(nil)
	for _, from := range []*side{a, third} {
		for range 10 {
			w.arrive(from, b, first)
		}
	}
	mustCount(t, b, ReasonReplay, 20)
	w.settle()
	if len(b.asked) != 1 || len(b.up) != 1 {
		t.Errorf("asked %d times, up %d", len(b.asked), len(b.up))
	}
	w.start(a, b)
	w.settle()
	if len(a.up) != 2 {
		t.Error("a new handshake after replays failed")
	}
}

// TestOldInit: of two messages of one attempt the later one counts, in whatever order they arrive.
func TestOldInit(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	old := captured(w, a, b)
	w.wait(core.Second)
	w.mustUp(a, b)
	w.arrive(a, b, old)
	mustCount(t, b, ReasonReplay, 1)
}

// TestTooOften: a peer with a good key that begins all the time.
func TestTooOften(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	for range 10 {
		if id, err := a.m.Start(w.now, w.path(a, b), b.m.Key(), Params{}); err == nil {
			w.settle()
			a.m.Cancel(id)
		}
	}
	mustCount(t, b, ReasonEarly, 9)
	if len(b.up) != 1 {
		t.Errorf("up %d", len(b.up))
	}
}

// TestHostileCertificates: who holds a key and no good certificate for it gets nothing.
func TestHostileCertificates(t *testing.T) {
	w := newWorld(t)
	b := w.add(nil)
	stranger, err := identity.NewHostKey(newChaos(77))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(c *identity.Certificate)
		own    bool // signed with a key of its own
		want   identity.Reason
	}{
		"good":          {func(*identity.Certificate) {}, false, identity.OK},
		"expired":       {func(c *identity.Certificate) { c.NotAfter = day }, false, identity.ReasonExpired},
		"foreign host":  {func(c *identity.Certificate) { c.Host = "beta" }, false, identity.ReasonHost},
		"wrong cluster": {func(c *identity.Certificate) { c.Cluster = "x" }, false, identity.ReasonCluster},
		"self-made":     {func(*identity.Certificate) {}, true, identity.ReasonSignature},
		"somebody else's": {
			func(c *identity.Certificate) { c.Key = b.m.Key() }, false, identity.ReasonKey,
		},
	} {
		a := w.add(nil)
		host := w.host
		if test.own {
			w.host = stranger
		}
		a.m.self.certificate = w.certificate(a.m.Key(), test.change)
		w.host = host
		before := b.m.Doubts(test.want)
		ups := len(b.up)
		id := w.start(a, b)
		w.settle()
		a.m.Cancel(id)
		if test.want == identity.OK {
			if len(b.up) != ups+1 {
				t.Errorf("%s: refused: %v", name, b.counted())
			}
			continue
		}
		if len(b.up) != ups || b.m.Doubts(test.want) != before+1 {
			t.Errorf("%s: up %d, counted %d", name, len(b.up), b.m.Doubts(test.want)-before)
		}
		w.start(b, a) // the same as a responder: message 2 brings the certificate
		w.settle()
		if len(b.up) != ups || b.m.Doubts(test.want) != before+2 {
			t.Errorf("%s, as responder: up %d, counted %d", name, len(b.up),
				b.m.Doubts(test.want)-before)
		}
		w.now += core.Second
	}
	if len(b.m.peers) != 1 {
		t.Errorf("%d peers are remembered, want the good one", len(b.m.peers))
	}
}

// TestDamagedCertificate: each bit of a certificate flipped, each cut, by who holds its key.
func TestDamagedCertificate(t *testing.T) {
	w := newWorld(t)
	a, b := w.add(nil), w.add(nil)
	good := a.m.self.certificate
	try := func(certificate []byte) {
		a.m.self.certificate = certificate
		id := w.start(a, b)
		a.turnJobs(w)
		var m [MaxBytes]byte
		_, n := a.m.NextMessage(m[:])
		w.arrive(a, b, m[:n])
		a.m.Cancel(id)
	}
	for bit := range len(good) * 8 {
		try(flipped(good, bit))
	}
	for n := range good {
		try(good[:n])
	}
	mustIgnore(t, "damaged certificates", b)
	mustCount(t, b, ReasonCertificate, uint64(len(good)*9))
	try(good)
	if len(b.m.events) != 1 {
		t.Errorf("the good one: %v", b.counted())
	}
}

// TestExpiryFollowsTheClock: a certificate that ends while its owner lives.
func TestExpiryFollowsTheClock(t *testing.T) {
	w := newWorld(t)
	a, b := w.add(nil), w.add(nil)
	until := func(seconds int64) []byte {
		return w.certificate(a.m.Key(), func(c *identity.Certificate) { c.NotAfter = seconds })
	}
	if err := a.m.SetCertificate(until(day + 10)); err != nil {
		t.Fatal(err)
	}
	w.now = 11*core.Second - 1
	w.start(a, b)
	w.settle()
	w.mustUp(a, b)
	w.now = 11 * core.Second
	w.start(a, b)
	w.wait(GiveUpAfter)
	if len(a.failed) != 1 || b.m.Doubts(identity.ReasonExpired) == 0 {
		t.Errorf("failed %d, %v", len(a.failed), b.counted())
	}
	if err := a.m.SetCertificate(until(day + 1000)); err != nil {
		t.Fatal(err)
	}
	w.start(a, b)
	w.settle()
	if len(a.up) != 2 {
		t.Error("not with a new certificate either")
	}
	b.m.SetUnix((day + 2000) * int64(core.Second))
	w.now += core.Second
	w.start(a, b)
	w.settle()
	if len(a.up) != 2 {
		t.Error("b's clock was set, and it did not notice")
	}
}

// TestSetTrust: who is taken off the list gets no new session.
func TestSetTrust(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	b.m.SetTrust(&identity.Trust{Cluster: "lab", Hosts: w.trust.Hosts})
	w.start(a, b)
	w.settle()
	if len(b.up) != 0 || b.m.Doubts(identity.ReasonAllow) != 1 {
		t.Errorf("up %d, %v", len(b.up), b.counted())
	}
}

// TestWeakKeys: public keys whose secret everybody knows.
func TestWeakKeys(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	init := captured(w, a, b)
	for _, e := range [][32]byte{
		{},
		{1},
		{
			0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
			0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
			0xb8, 0x00,
		}, // of order 8, from the list of cr.yp.to/ecdh.html
	} {
		m := bytes.Clone(init)
		copy(m[headBytes:], e[:])
		w.arrive(a, b, withMACs(m, b))
	}
	mustIgnore(t, "weak keys", b)
	mustCount(t, b, ReasonWeak, 3)
	id, err := b.m.Start(w.now, w.path(b, a), identity.Key{1}, Params{})
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	if len(b.failed) != 1 || b.failed[0].Attempt != id {
		t.Errorf("calling a weak key: %+v", b.failed)
	}
}

// TestWrongPeer: whoever answers must hold the key that was called.
func TestWrongPeer(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	c := w.add(nil)
	if _, err := a.m.Start(w.now, w.path(a, c), b.m.Key(), Params{}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	mustCount(t, c, ReasonMAC, 1)
	w.carry = func(_, to *side, m []byte) [][]byte { return [][]byte{withMACs(m, to)} }
	w.wait(core.Second)
	if len(a.up)+len(c.up) != 0 || c.m.Count(ReasonNoise) == 0 {
		t.Errorf("up %d and %d, %v", len(a.up), len(c.up), c.counted())
	}
}

// TestReflection: our own messages, sent back.
func TestReflection(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	init := captured(w, a, b)
	w.arrive(b, a, init)
	w.arrive(b, a, withMACs(init, a))
	mustCount(t, a, ReasonMAC, 1)
	mustCount(t, a, ReasonNoise, 1)
}
