package transport

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// digest is what a frame must not change unless it is authentic.
type digest struct {
	largest   uint64
	waiting   int
	phase     uint8
	limit     uint64
	charged   uint64
	partials  int
	next      uint64
	flying    int
	events    int
	plain     int
	live      int
	in, words int
}

func digestOf(e *Endpoint) (d digest) {
	for _, s := range e.sessions {
		if s == nil || len(s.lanes) == 0 || s.lanes[0].rx == nil {
			continue
		}
		l := s.lanes[0]
		d.largest += l.received.largest
		d.waiting += l.received.waiting
		d.phase += l.rx.Phase()
		d.limit += l.limit
		d.charged += l.charged
		d.partials += len(l.partials)
		d.next += l.flight.next
		d.flying += l.flight.flying
		d.live += s.live
	}
	d.events, d.plain = e.events.n, e.plain.n
	d.in, d.words = e.in.used, e.words.used
	return d
}

// capture returns the frames that a sends to b for a call, a message and parts of a write, which b
// has not seen.
func capture(r *rig, a, b *side, sa SessionID, region RegionID) (frames [][]byte) {
	r.t.Helper()
	o := r.order(sa)
	o.Header = []byte("head")
	_, err := a.e.Call(r.now, o, pattern(100, 1))
	if err == nil {
		err = a.e.Send(r.now, r.order(sa), pattern(3000, 2))
	}
	if err == nil {
		_, err = a.e.Write(r.now, r.order(sa), Target{Region: region}, pattern(200, 3))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	for range 8 {
		if n := a.e.NextFrame(r.now, a.buffer); n > 0 {
			frames = append(frames, bytes.Clone(a.buffer[:n]))
		}
	}
	if len(frames) < 2 {
		r.t.Fatalf("only %d frames", len(frames))
	}
	return frames
}

// TestB2DamagedFramesChangeNothing cuts frames at every byte and flips every bit of them.
func TestB2DamagedFramesChangeNothing(t *testing.T) {
	for _, udp := range []int{0, 4, 6} {
		r, a, b, sa, sb := pair(t, udp, nil)
		region, err := b.e.Register(sb, make([]byte, 1000), RightWrite)
		if err != nil {
			t.Fatal(err)
		}
		frames := capture(r, a, b, sa, region)
		before := digestOf(b.e)
		scratch := make([]byte, 0, 2000)
		path := b.path(a, udp)
		for _, frame := range frames {
			head := path.headerBytes()
			payload := frame[head:]
			for cut := range len(payload) {
				scratch = append(scratch[:0], payload[:cut]...)
				if reason := b.e.HandlePacket(r.now, &path, scratch); reason == OK {
					t.Fatalf("taken when cut to %d bytes", cut)
				}
			}
			for bit := range 8 * len(payload) {
				if bit/8 >= boundBytes && bit/8 < HeaderBytes {
					continue // the hint, which anybody may write
				}
				scratch = append(scratch[:0], payload...)
				scratch[bit/8] ^= 1 << (bit % 8)
				if reason := b.e.HandlePacket(r.now, &path, scratch); reason == OK {
					t.Fatalf("taken with bit %d flipped", bit)
				}
			}
		}
		for n := b.e.NextFrame(r.now, b.buffer); n > 0; n = b.e.NextFrame(r.now, b.buffer) {
			if h := Header(b.buffer[path.headerBytes():]); h.Type() != TypeUnknown {
				t.Fatalf("answered with a frame of type %d", h.Type())
			}
		}
		if after := digestOf(b.e); after != before {
			t.Fatalf("changed\n%+v to\n%+v", before, after)
		}
		c := b.e.Counters()
		for _, reason := range []Reason{
			ReasonShort, ReasonVersion, ReasonReserved, ReasonLength, ReasonType, ReasonSession,
			ReasonLane, ReasonForged, ReasonPhase,
		} {
			if c.Dropped[reason] == 0 {
				t.Errorf("nothing counted as %v", reason)
			}
		}
		for _, frame := range frames { // and they are good as they are
			if reason := b.e.HandleFrame(r.now, bytes.Clone(frame)); reason != OK {
				t.Errorf("an intact frame: %v", reason)
			}
		}
	}
}

func TestB2FailuresAllocateNothing(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, nil)
	region, _ := b.e.Register(sb, make([]byte, 1000), RightWrite)
	frame := capture(r, a, b, sa, region)[0]
	frame[len(frame)-1] ^= 1
	scratch := make([]byte, len(frame))
	if n := testing.AllocsPerRun(100, func() {
		copy(scratch, frame)
		b.e.HandleFrame(r.now, scratch)
		b.e.HandleFrame(r.now, scratch[:20])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c := b.e.Counters(); c.Dropped[ReasonForged] < 100 || c.Dropped[ReasonShort] < 100 {
		t.Errorf("%+v", c.Dropped)
	}
}

// TestB3ReplaysAndForgeriesAreRefused offers frames again, frames with other counters, and frames
// of a session that was before.
func TestB3ReplaysAndForgeriesAreRefused(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, nil)
	region, _ := b.e.Register(sb, make([]byte, 1000), RightWrite)
	frames := capture(r, a, b, sa, region)
	forged := bytes.Clone(frames[0])
	binary.BigEndian.PutUint64(Header(forged[wire.EthernetBytes:])[8:], 1<<40)
	if reason := b.e.HandleFrame(r.now, forged); reason != ReasonForged {
		t.Errorf("a counter far ahead: %v", reason)
	}
	for _, f := range frames { // the window has not moved
		if reason := b.e.HandleFrame(r.now, bytes.Clone(f)); reason != OK {
			t.Errorf("after the forgery: %v", reason)
		}
	}
	before := digestOf(b.e)
	for _, f := range frames {
		if reason := b.e.HandleFrame(r.now, bytes.Clone(f)); reason != ReasonReplayed {
			t.Errorf("again: %v", reason)
		}
	}
	if after := digestOf(b.e); after != before {
		t.Errorf("replays changed %+v to %+v", before, after)
	}
	// A new session between the same two: nothing of the old one is good there.
	b.events, a.events = nil, nil
	if err := a.e.Close(r.now, sa); err != nil {
		t.Fatal(err)
	}
	r.run(core.Second)
	a.events, b.events = nil, nil
	r.connect(a, b, 0)
	before = digestOf(b.e)
	for _, f := range frames {
		if reason := b.e.HandleFrame(r.now, bytes.Clone(f)); reason == OK {
			t.Error("a frame of the session before was taken")
		}
	}
	after := digestOf(b.e)
	after.plain = before.plain
	if after != before {
		t.Errorf("old frames changed %+v to %+v", before, after)
	}
}

// TestB9BlindInjection has somebody off the path send whatever might change or end a session:
// 200,000 tries, or 10^8 with DUNLIN_LONG. Half of them know all fields but the keys, others guess.
// None is taken, none changes anything, and what is answered is bounded. Calls go on meanwhile.
func TestB9BlindInjection(t *testing.T) {
	tries, every := 200_000, 10_000
	if long() {
		tries, every = 100_000_000, 1_000_000
	}
	r, a, b, sa, _ := pair(t, 4, nil)
	b.serve = echo
	rng := rand.New(rand.NewPCG(9, 9))
	s := b.e.sessions[1]
	path := b.path(a, 4)
	begin := r.now
	buf := make([]byte, HeaderBytes+handshake.MaxBytes+8)
	for i := 0; i < tries; i += every {
		before := digestOf(b.e)
		for range every {
			frame := inject(rng, buf, s)
			if reason := b.e.HandlePacket(r.now, &path, frame); reason == OK {
				t.Fatalf("an injection was taken: % x", frame)
			}
		}
		after := digestOf(b.e)
		if after.plain = before.plain; after != before {
			t.Fatalf("injections changed %+v to %+v", before, after)
		}
		if _, err := a.e.Call(r.now, r.order(sa), pattern(64, 0)); err != nil {
			t.Fatal(err)
		}
		if ev := a.await(EventReply); ev.Outcome != Done {
			t.Fatalf("the session suffered: %+v", ev)
		}
		r.run(core.Second)
		r.until("nothing is out that a hint might echo", core.Second, func() bool {
			return a.e.sessions[1].lanes[0].flight.flying+s.lanes[0].flight.flying == 0
		})
	}
	c := b.e.Counters()
	most := uint64((r.now-begin)/core.Second+2) * hintsPerSecond
	if c.HintsSent == 0 || c.HintsSent > most {
		t.Errorf("%d hints were sent, at most %d should be", c.HintsSent, most)
	}
	for _, reason := range []Reason{
		ReasonSession, ReasonLane, ReasonForged, ReasonPhase, ReasonReplayed, ReasonHint,
		ReasonHandshake, ReasonLength, ReasonVersion, ReasonType, ReasonReserved,
	} {
		if c.Dropped[reason] == 0 {
			t.Errorf("nothing was counted as %v", reason)
		}
	}
}

// inject makes a try in buf.
func inject(rng *rand.Rand, buf []byte, s *session) []byte {
	l := s.lanes[0]
	body := 16 + rng.IntN(40)
	kind := [...]FrameType{TypeData, TypeUnknown, TypeHandshake}[rng.IntN(3)]
	session, lane, phase := s.number, uint8(0), l.rx.Phase()
	counter := uint64(max(0, int64(l.received.largest)+rng.Int64N(100)-50))
	switch {
	case kind == TypeHandshake:
		session, counter = 0, 0
		if sizes := [...]int{
			handshake.InitBytes, handshake.ReplyBytes, handshake.CookieBytes,
		}; rng.IntN(2) == 0 {
			body = sizes[rng.IntN(3)]
		}
	case kind == TypeUnknown:
		session, body = s.peer, 0
		if l.flight.next > 0 {
			counter = l.flight.next - 1 - uint64(rng.IntN(3))
		}
	}
	if rng.IntN(2) == 0 { // a guess in one of the fields
		switch rng.IntN(4) {
		case 0:
			session = rng.Uint32()
		case 1:
			lane = uint8(rng.Uint32())
		case 2:
			phase = uint8(rng.Uint32())
		case 3:
			counter = rng.Uint64() >> rng.IntN(64)
		}
	}
	frame := buf[:HeaderBytes+body]
	for at := HeaderBytes; at < len(frame); at += 8 {
		binary.LittleEndian.PutUint64(buf[at:], rng.Uint64()) // buf has room behind
	}
	h := Header(frame)
	h.put(kind, phase, lane, session, counter, 0)
	h.setLength(body)
	switch {
	case kind == TypeHandshake:
		frame[HeaderBytes], frame[HeaderBytes+1] = byte(rng.IntN(4)), handshake.Version
		frame[HeaderBytes+2], frame[HeaderBytes+3] = 0, 0
	case rng.IntN(20) == 0:
		frame[rng.IntN(boundBytes)] ^= 1 << rng.IntN(8)
	}
	return frame
}

// TestB9HintsEndNothing sends hints that echo what is really out: they cause one question.
func TestB9HintsEndNothing(t *testing.T) {
	r, a, b, sa, _ := pair(t, 0, nil)
	b.serve = echo
	if _, err := a.e.Call(r.now, r.order(sa), pattern(64, 0)); err != nil {
		t.Fatal(err)
	}
	n := a.e.NextFrame(r.now, a.buffer)
	sent := bytes.Clone(a.buffer[:n])
	h := Header(sent[wire.EthernetBytes:])
	hint := make([]byte, HeaderBytes)
	Header(hint).put(TypeUnknown, h.Phase(), h.Lane(), h.Session(), h.Counter(), 0)
	path := a.path(b, 0)
	taken := 0
	for range 100 {
		if a.e.HandlePacket(r.now, &path, bytes.Clone(hint)) == OK {
			taken++
		}
	}
	if taken == 0 || taken > hintsPerSecond {
		t.Errorf("%d hints were taken", taken)
	}
	r.send(a, sent)
	if ev := a.await(EventReply); ev.Outcome != Done {
		t.Errorf("%+v", ev)
	}
}

// TestB9HintsAreLookedAtSeldom: whoever sends hints without end makes nobody look for sessions, and
// keeps no hint of others from being taken.
func TestB9HintsAreLookedAtSeldom(t *testing.T) {
	r, a, b, sa, _ := pair(t, 0, nil)
	r.run(core.Second)
	if _, err := a.e.Call(r.now, r.order(sa), pattern(64, 0)); err != nil {
		t.Fatal(err)
	}
	n := a.e.NextFrame(r.now, a.buffer)
	h := Header(a.buffer[wire.EthernetBytes:n])
	hint := make([]byte, HeaderBytes)
	Header(hint).put(TypeUnknown, h.Phase(), h.Lane(), h.Session(), h.Counter(), 0)
	path := a.path(b, 0)
	stranger := path
	stranger.Flow.DstMAC = wire.MAC{2, 9, 9, 9, 9, 9}
	for range 10 * hintsPerSecond {
		if a.e.HandlePacket(r.now, &stranger, bytes.Clone(hint)) == OK {
			t.Fatal("a hint from elsewhere was taken")
		}
	}
	if left := bucketOf(&a.e.looks, &stranger).tokens; left != 0 {
		t.Errorf("%d more would be looked at", left)
	}
	if reason := a.e.HandlePacket(r.now, &path, bytes.Clone(hint)); reason != OK {
		t.Errorf("the peer's own hint: %v", reason)
	}
}

// hostile is a peer with a valid key that says what it likes: records go out in frames that are
// sealed as they should be.
func (s *side) say(r *rig, to *side, records []byte) Reason {
	r.t.Helper()
	var l *lane
	for _, x := range s.e.sessions {
		if x != nil && x.state == sessionOpen {
			l = x.lanes[0]
		}
	}
	w := &l.e.builder
	buf := make([]byte, s.e.MaxFrame())
	head := l.s.path.headerBytes()
	*w = builder{b: buf[head+HeaderBytes:]}
	w.n = copy(w.b, records)
	n := l.finish(r.now, buf, w, false)
	return to.e.HandleFrame(r.now, buf[:n])
}

func record(s segment) []byte {
	b := make([]byte, segmentHeader(s.kind)+len(s.data))
	copy(putSegment(b, &s, len(s.data)), s.data)
	return b
}

// TestHostilePeer has a peer with a valid key send nonsense of every kind.
func TestHostilePeer(t *testing.T) {
	r, a, b, _, sb := pair(t, 0, nil)
	c := r.add(nil)
	_, sc := r.connect(c, b, 0)
	b.events = nil
	mine := make([]byte, 1000)
	region, _ := b.e.Register(sb, mine, RightWrite)
	readOnly, _ := b.e.Register(sb, mine, 0)
	others := make([]byte, 1000)
	foreign, _ := b.e.Register(sc, others, RightWrite)
	gone, _ := b.e.Register(sb, others, RightWrite)
	if err := b.e.Deregister(gone); err != nil {
		t.Fatal(err)
	}
	data := pattern(64, 9)
	l := a.e.sessions[1].lanes[0]
	id := func() uint64 { l.nextID++; return l.nextID - 1 }
	write := func(g RegionID, at uint64, total uint32) []byte {
		return record(segment{
			kind: recordWrite, id: id(), total: total, region: g, at: at, data: data,
		})
	}
	for name, x := range map[string]struct {
		b    []byte
		want Reason
	}{
		"a region that is none":            {write(12345, 0, 64), ReasonRegion},
		"somebody else's region":           {write(foreign, 0, 64), ReasonRegion},
		"a region that is gone":            {write(gone, 0, 64), ReasonRegion},
		"a region without the right":       {write(readOnly, 0, 64), ReasonBounds},
		"beyond the region":                {write(region, 937, 64), ReasonBounds},
		"far beyond the region":            {write(region, 1<<63, 64), ReasonBounds},
		"an offset that wraps":             {write(region, ^uint64(0)-10, 64), ReasonRecord},
		"a part of something too long":     {write(region, 0, MaxMessageBytes), ReasonBounds},
		"longer than anything may be":      {write(region, 0, MaxMessageBytes+1), ReasonRecord},
		"a reply to nothing":               {record(segment{kind: recordReply, id: id(), total: 64, token: 77, data: data}), ReasonReply},
		"a number far ahead":               {record(segment{kind: recordMessage, id: 1 << 40, total: 64, data: data}), ReasonRecord},
		"a header longer than all":         {record(segment{kind: recordMessage, headerLen: 65, id: id(), total: 64, data: data}), ReasonRecord},
		"a kind that is none":              {[]byte{99, 0, 0}, ReasonRecord},
		"a cut record":                     {record(segment{kind: recordMessage, id: id(), total: 64, data: data})[:30], ReasonRecord},
		"an acknowledgement of the future": {ackOf(1 << 40), ReasonAck},
		"an abandonment of nothing":        {abandonOf(1 << 40), ReasonRecord},
	} {
		if got := a.say(r, b, x.b); got != x.want {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
		if err := b.e.Audit(r.now); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if !bytes.Equal(mine, make([]byte, 1000)) || !bytes.Equal(others, make([]byte, 1000)) {
		t.Error("memory was written")
	}
	r.drain(b)
	if len(b.events) != 0 {
		t.Errorf("events: %+v", b.events)
	}
}

func ackOf(largest uint64) []byte {
	b := make([]byte, ackBytes+8)
	putAck(b, &ack{largest: largest, words: 1})
	return b
}

func abandonOf(id uint64) []byte {
	b := make([]byte, abandonBytes)
	putAbandon(b, abandon{of: recordCall, total: 10, id: id})
	return b
}

// TestB13FloodsAreBounded has a peer with a valid key begin and never end.
func TestB13FloodsAreBounded(t *testing.T) {
	const most = 2 << 20
	r, a, b, _, _ := pair(t, 0, func(c *Config) { c.PeerBytes = most })
	l := a.e.sessions[1].lanes[0]
	data := pattern(64, 0)
	say := func(s segment) Reason {
		reason := a.say(r, b, record(s))
		if err := b.e.Audit(r.now); err != nil {
			t.Fatal(err)
		}
		return reason
	}
	counts := map[Reason]int{}
	for i := range 200 { // first parts of transfers that never go on
		l.nextID++
		counts[say(segment{
			kind: recordMessage, id: uint64(i), total: 60_000, data: data,
		})]++
	}
	if counts[OK] != MaxPartial || counts[ReasonNoMemory] != 200-MaxPartial {
		t.Errorf("unfinished: %v", counts)
	}
	clear(counts)
	for i := range 6000 { // complete ones out of order, that nobody takes
		counts[say(segment{
			kind: recordMessage, id: uint64(1000 + 2*i), total: 64, data: data,
		})]++
	}
	if counts[OK] == 0 || counts[ReasonRecord] == 0 || b.e.in.used > most {
		t.Errorf("gaps: %v, %d bytes", counts, b.e.in.used)
	}
}

// TestB13AllPeersTogether bounds what all peers hold together.
func TestB13AllPeersTogether(t *testing.T) {
	r := newRig(t)
	b := r.add(func(c *Config) { c.PeerBytes, c.MemoryBytes = 1<<20, 1<<20+1<<19 })
	b.serve = func(*side, Event) {}
	ids := map[*side]SessionID{}
	for range 4 {
		a := r.add(nil)
		ids[a], _ = r.connectQuietly(a, b)
	}
	for _, a := range r.sides[1:] {
		for range 10 {
			if err := a.e.Send(r.now, r.order(ids[a]), pattern(100_000, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	stall := b.e // nobody takes its events: deliver by hand
	for range 20_000 {
		for _, s := range r.sides {
			if n := s.e.NextFrame(r.now, s.buffer); n > 0 {
				to := r.side(wire.Ethernet(s.buffer).Dst())
				to.e.HandleFrame(r.now, bytes.Clone(s.buffer[:n]))
			}
		}
		r.now += 10 * core.Microsecond
		for _, s := range r.sides {
			s.e.HandleTimeout(r.now)
		}
		if stall.in.used > 1<<20+1<<19 {
			t.Fatalf("%d bytes", stall.in.used)
		}
	}
	if stall.Counters().Dropped[ReasonNoMemory] == 0 {
		t.Error("the limit was never reached")
	}
	if err := stall.Audit(r.now); err != nil {
		t.Error(err)
	}
}

// connectQuietly is connect for sides whose events somebody else takes.
func (r *rig) connectQuietly(a, b *side) (ofA, ofB SessionID) {
	r.t.Helper()
	serve := b.serve
	b.serve = nil
	ofA, ofB = r.connect(a, b, 0)
	b.serve = serve
	return ofA, ofB
}

var _ = fault.NoBit
