package handshake

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// stranger is an address that an attacker names as the source.
func stranger(to *side, n int) Addr {
	return Addr{Flow: wire.UDPFlow{
		SrcMAC: to.mac, DstMAC: wire.MAC{2, 1, byte(n >> 16), byte(n >> 8), byte(n), 9},
	}}
}

// garbage is a message 1 with a good mac1 and nothing in it.
func garbage(to *side, n int) []byte {
	b := begin(make([]byte, 0, InitBytes), kindInit, false, uint32(n)+1)
	b = b[:headBytes+noiseInit]
	b[headBytes], b[headBytes+1], b[headBytes+2] = byte(n), byte(n>>8), 7
	key := to.m.Key()
	return addMACs(b, &key, &[macBytes]byte{})
}

// TestFlood: a second of 50,000 messages from as many addresses makes 20 jobs and at most 256
// cookies at a time, and leaves nothing behind.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	_, b := w.pair()
	const n = 50_000
	messages := make([][]byte, 100)
	for i := range messages {
		messages[i] = garbage(b, i)
	}
	jobs, cookies := 0, 0
	for i := range n {
		w.now += core.Second / n
		from := stranger(b, i)
		b.m.Handle(w.now, &from, messages[i%len(messages)])
		if len(b.m.in) > maxIn || len(b.m.messages) > maxMessages || len(b.m.jobs) > maxIn {
			t.Fatalf("%d under way, %d messages, %d jobs", len(b.m.in), len(b.m.messages),
				len(b.m.jobs))
		}
		if i%100 == 0 { // the other side of the loop is slow
			for j := b.m.NextJob(); j != nil; j = b.m.NextJob() {
				jobs++
				j.Run()
				b.m.Done(w.now, j)
			}
			var buffer [MaxBytes]byte
			for _, size := b.m.NextMessage(buffer[:]); size > 0; _, size = b.m.NextMessage(buffer[:]) {
				cookies++
				if size != CookieBytes {
					t.Fatalf("answered with %d bytes", size)
				}
			}
		}
	}
	if jobs > 2*perSecond {
		t.Errorf("%d jobs in a second", jobs)
	}
	if cookies == 0 || cookies > 2*cookiesPerSecond {
		t.Errorf("%d cookies in a second", cookies)
	}
	if len(b.m.peers) != 0 || len(b.m.events) != 0 {
		t.Error("strangers are remembered")
	}
}

// TestPeerGetsInDuringAFlood: an honest side opens a session while others, who know the key, send ten
// times what is answered at all.
func TestPeerGetsInDuringAFlood(t *testing.T) {
	const rate = 10 * cookiesPerSecond
	w := newWorld(t)
	a, b := w.pair()
	var messages [50][]byte
	for i := range messages {
		messages[i] = garbage(b, i)
	}
	flood := func(i int) {
		w.now += core.Second / rate
		from := stranger(b, i)
		b.m.Handle(w.now, &from, messages[i%len(messages)])
		if i%20 != 0 {
			return
		}
		for _, s := range w.sides {
			if s.m.Deadline() <= w.now {
				s.m.HandleTimeout(w.now)
			}
		}
		w.settle()
	}
	for i := range rate { // a second before
		flood(i)
	}
	w.start(a, b)
	for i, end := 0, w.now+GiveUpAfter; w.now < end && len(a.up) == 0; i++ {
		flood(i)
	}
	w.mustUp(a, b)
	if b.m.Count(ReasonDropped) == 0 {
		t.Error("that was no flood")
	}
}

// TestFloodWithoutWorkers: nobody does the jobs, and still nothing grows.
func TestFloodWithoutWorkers(t *testing.T) {
	w := newWorld(t)
	_, b := w.pair()
	m := garbage(b, 1)
	for i := range 100 {
		w.now += 100 * core.Millisecond
		from := stranger(b, i)
		b.m.Handle(w.now, &from, m)
		b.m.HandleTimeout(w.now)
	}
	if len(b.m.in) > maxIn || len(b.m.jobs) > maxIn {
		t.Errorf("%d under way, %d jobs", len(b.m.in), len(b.m.jobs))
	}
	mustCount(t, b, ReasonBusy, 100-b.m.Count(OK))
	w.idle = true
	w.wait(answerWithin)
	b.mustRest(t)
}

// TestCookie: under load an honest side is asked to come again, and does so at once.
func TestCookie(t *testing.T) {
	for name, udp := range map[string]bool{"raw": false, "udp": true} {
		w := newWorld(t)
		w.udp = udp
		a, b := w.pair()
		load(w, b)
		begin := w.now
		w.start(a, b)
		w.settle()
		w.mustUp(a, b)
		if w.now != begin {
			t.Errorf("%s: it took time", name)
		}
		mustCount(t, b, ReasonCookieAsked, 1)
		mustCount(t, a, OK, 2) // a cookie, an answer
	}
}

// load uses up what is looked at without a cookie.
func load(w *world, b *side) {
	w.t.Helper()
	for b.m.gate.load.take(w.now, perSecond) {
	}
}

// TestCookieOfAnother: a cookie is good for its address and for the life of its secret.
func TestCookieOfAnother(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	var proved []byte
	w.carry = func(from, _ *side, m []byte) [][]byte {
		if from == a && m[0] == kindInit && !bytes.Equal(m[InitBytes-macBytes:], make([]byte, macBytes)) {
			proved = m
			return nil
		}
		return [][]byte{m}
	}
	load(w, b)
	w.start(a, b)
	w.settle()
	if proved == nil {
		t.Fatal("no message came with a cookie")
	}
	other := stranger(b, 5)
	if r := b.m.Handle(w.now, &other, proved); r != ReasonCookieAsked {
		t.Errorf("from another address: %v", r)
	}
	home := w.path(b, a)
	bad := flipped(proved, (InitBytes-1)*8)
	if r := b.m.Handle(w.now, &home, bad); r != ReasonCookieAsked {
		t.Errorf("with a bit of mac2 flipped: %v", r)
	}
	if r := b.m.Handle(w.now, &home, proved); r != OK {
		t.Errorf("as it was sent: %v", r)
	}
	w.now += cookieLife
	load(w, b)
	if r := b.m.Handle(w.now, &home, proved); r != ReasonCookieAsked {
		t.Errorf("a cookie of an old secret: %v", r)
	}
}

// TestProvedAddress: one that answers cookies gets its share, and no more.
func TestProvedAddress(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	home := w.path(b, a)
	load(w, b)
	cookie := b.m.cookie(w.now, &home)
	m := appendMAC2(garbage(b, 1)[:InitBytes-macBytes], &cookie)
	counts := map[Reason]int{}
	for range 50 {
		r := b.m.Handle(w.now, &home, m)
		b.turnJobs(w)
		counts[r]++
	}
	if counts[OK] != perSecond || counts[ReasonRate] != 50-perSecond {
		t.Errorf("%v", counts)
	}
	// Another address is not affected.
	other := stranger(b, 1)
	cookie = b.m.cookie(w.now, &other)
	m = appendMAC2(garbage(b, 2)[:InitBytes-macBytes], &cookie)
	if r := b.m.Handle(w.now, &other, m); r != OK {
		t.Errorf("another address: %v", r)
	}
}

// cookieFor is the cookie that b, under load, answers a's message with; it does not arrive.
func cookieFor(w *world, a, b *side) (cookie []byte) {
	w.carry = func(from, _ *side, m []byte) [][]byte {
		if from == b && m[0] == kindCookie {
			cookie = m
			return nil
		}
		return [][]byte{m}
	}
	load(w, b)
	w.start(a, b)
	w.settle()
	return cookie
}

// TestForgedCookie: nobody who has not seen our message can give us a cookie.
func TestForgedCookie(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	cookie := cookieFor(w, a, b)
	back := w.path(a, b)
	for bit := headBytes * 8; bit < CookieBytes*8; bit++ {
		if r := a.m.Handle(w.now, &back, flipped(cookie, bit)); r != ReasonCookie {
			t.Fatalf("bit %d flipped: %v", bit, r)
		}
	}
	for bit := range headBytes * 8 {
		if r := a.m.Handle(w.now, &back, flipped(cookie, bit)); r == OK {
			t.Fatalf("bit %d flipped: %v", bit, r)
		}
	}
	for n := range cookie {
		if r := a.m.Handle(w.now, &back, cookie[:n]); r != ReasonLength {
			t.Fatalf("cut to %d: %v", n, r)
		}
	}
	if len(a.m.messages) != 0 {
		t.Error("a forged cookie made us send")
	}
	if r := a.m.Handle(w.now, &back, cookie); r != OK {
		t.Errorf("the true cookie: %v", r)
	}
	if r := a.m.Handle(w.now, &back, cookie); r != ReasonUnknown {
		t.Errorf("the true cookie again: %v", r)
	}
	w.settle()
	w.mustUp(a, b)
}

// TestStrangersAllocateNothing: before a MAC fits there is not even garbage to collect.
func TestStrangersAllocateNothing(t *testing.T) {
	w := newWorld(t)
	_, b := w.pair()
	from := stranger(b, 1)
	noMAC := flipped(garbage(b, 1), 100)
	unknown := append(begin(nil, kindReply, false, 1), make([]byte, ReplyBytes-headBytes)...)
	cookie := append(begin(nil, kindCookie, false, 1), make([]byte, CookieBytes-headBytes)...)
	for name, m := range map[string][]byte{
		"no mac": noMAC, "reply": unknown, "cookie": cookie, "short": noMAC[:100], "empty": nil,
	} {
		if n := testing.AllocsPerRun(100, func() {
			if b.m.Handle(w.now, &from, m) == OK {
				t.Errorf("%s: taken", name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestPeersAreBounded: what is remembered of peers has a limit.
func TestPeersAreBounded(t *testing.T) {
	w := newWorld(t)
	a, _ := w.pair()
	for i := range maxPeers + 10 {
		key := identity.Key{byte(i), byte(i >> 8)}
		if r := a.m.rising(core.Time(i), &key, 1); r != OK {
			t.Fatal(r)
		}
	}
	if len(a.m.peers) != maxPeers {
		t.Errorf("%d peers", len(a.m.peers))
	}
	if _, ok := a.m.peers[[32]byte{9}]; ok {
		t.Error("the oldest is still there")
	}
	if _, ok := a.m.peers[[32]byte{10}]; !ok {
		t.Error("a younger one is gone")
	}
}

// FuzzHandle feeds a side with an attempt under way what the fuzzer makes of true messages.
func FuzzHandle(f *testing.F) {
	w := newWorld(f)
	a, b := w.pair()
	var all [][]byte
	w.carry = func(_, _ *side, m []byte) [][]byte { all = append(all, m); return [][]byte{m} }
	load(w, b)
	w.start(a, b)
	w.settle()
	for _, m := range all {
		f.Add(m, false)
		f.Add(m, true)
	}
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, m []byte, macs bool) {
		w := newWorld(t)
		a, b := w.pair()
		a.m.draw32() // or the messages of the corpus would be true ones
		init := captured(w, a, b)
		if macs && len(m) >= headBytes+2*macBytes {
			m = bytes.Clone(m)
			copy(m[atNumber:], init[atNumber:headBytes])
			m = withMACs(m, a)
		}
		back := w.path(a, b)
		a.m.Handle(w.now, &back, m)
		a.turnJobs(w)
		if len(a.m.events) != 0 {
			t.Fatalf("a foreign message had a result: %+v", a.m.events)
		}
		w.wait(core.Second)
		w.mustUp(a, b) // the attempt goes on
	})
}

func BenchmarkHandshake(b *testing.B) {
	w := newWorld(b)
	x, y := w.pair()
	b.ReportAllocs()
	for b.Loop() {
		w.now += core.Second
		w.start(x, y)
		w.settle()
		if len(x.up) != 1 {
			b.Fatal("no session")
		}
		x.up, y.up, y.asked = nil, nil, nil
	}
}

func BenchmarkStranger(b *testing.B) {
	w := newWorld(b)
	_, y := w.pair()
	from := stranger(y, 1)
	for name, m := range map[string][]byte{
		"mac": flipped(garbage(y, 1), 100), "cookie": garbage(y, 1),
	} {
		b.Run(name, func(b *testing.B) {
			var buffer [MaxBytes]byte
			b.ReportAllocs()
			load(w, y)
			for b.Loop() {
				y.m.gate.answers.tokens = 1
				y.m.Handle(w.now, &from, m)
				y.m.NextMessage(buffer[:])
			}
		})
	}
}
