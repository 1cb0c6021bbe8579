package transport

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// A peer that was written from docs/WIRE.md and the Noise specification (revision 34), with nothing
// of this module but the endpoint that it talks to. Where the document is not exact, it fails.

// docPeer is the responder.
type docPeer struct {
	t         *testing.T
	static    *ecdh.PrivateKey
	host      ed25519.PublicKey
	own, peer uint32 // session numbers
	tx, rx    cipher.AEAD
	counter   uint64
	largest   uint64
	seen      []uint64
	credit    uint64
}

func sum(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}

func docNonce(counter uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4), counter)
}

// noiseState is Noise's SymmetricState.
type noiseState struct {
	t  *testing.T
	h  []byte
	ck []byte
	k  []byte
	n  uint64
}

func (s *noiseState) mixHash(b []byte) { s.h = sum(s.h, b) }

func (s *noiseState) hkdf(input []byte) (one, two []byte) {
	temp := mac(s.ck, input)
	one = mac(temp, []byte{1})
	return one, mac(temp, one, []byte{2})
}

func (s *noiseState) mixKey(private *ecdh.PrivateKey, public []byte) {
	key, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		s.t.Fatal(err)
	}
	secret, err := private.ECDH(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ck, s.k = s.hkdf(secret)
	s.n = 0
}

func (s *noiseState) decrypt(b []byte) []byte {
	plain, err := gcm(s.k).Open(nil, docNonce(s.n), b, s.h)
	if err != nil {
		s.t.Fatalf("noise: %v", err)
	}
	s.n++
	s.mixHash(b)
	return plain
}

func (s *noiseState) encrypt(b []byte) []byte {
	sealed := gcm(s.k).Seal(nil, docNonce(s.n), b, s.h)
	s.n++
	s.mixHash(sealed)
	return sealed
}

// header reads the 32 bytes that each frame begins with.
func (p *docPeer) header(frame []byte) (kind, phase, lane byte, session uint32, counter uint64,
	route uint64, body []byte,
) {
	p.t.Helper()
	if binary.BigEndian.Uint16(frame[12:]) != 0x88B5 {
		p.t.Fatal("EtherType")
	}
	f := frame[14:]
	if f[0] != 1 || f[26] != 0 || f[27] != 0 {
		p.t.Fatalf("version %d, zero %d %d", f[0], f[26], f[27])
	}
	n := int(binary.BigEndian.Uint16(f[24:]))
	return f[1], f[2], f[3], binary.BigEndian.Uint32(f[4:]), binary.BigEndian.Uint64(f[8:]),
		binary.BigEndian.Uint64(f[16:]), f[32 : 32+n]
}

func putHeader(kind byte, session uint32, counter, route uint64, length int) []byte {
	b := []byte{1, kind, 0, 0}
	b = binary.BigEndian.AppendUint32(b, session)
	b = binary.BigEndian.AppendUint64(b, counter)
	b = binary.BigEndian.AppendUint64(b, route)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	return append(b, 0, 0, 0, 0, 0, 0)
}

// answer takes message 1 and returns the frame with message 2; certificate is ours.
func (p *docPeer) answer(frame, certificate []byte) []byte {
	t := p.t
	kind, _, _, session, _, _, m := p.header(frame)
	if kind != 2 || session != 0 || len(m) != 520 || !bytes.Equal(m[:4], []byte{1, 1, 0, 0}) {
		t.Fatalf("message 1: type %d, %d bytes: % x", kind, len(m), m[:8])
	}
	public := p.static.PublicKey().Bytes()
	key := sum([]byte("dunlin handshake mac1\x00"), public)
	if !bytes.Equal(mac(key, m[:488])[:16], m[488:504]) || !bytes.Equal(m[504:], make([]byte, 16)) {
		t.Fatal("mac1 or mac2")
	}
	name := []byte("Noise_IK_25519_AESGCM_SHA256")
	h := append(name, make([]byte, 32-len(name))...)
	s := &noiseState{t: t, h: h, ck: h}
	s.mixHash([]byte("dunlin handshake 1\x00"))
	s.mixHash(public)
	e := m[8:40]
	s.mixHash(e)
	s.mixKey(p.static, e)
	theirs := s.decrypt(m[40:88])
	s.mixKey(p.static, theirs)
	p.payload(s.decrypt(m[88:488]), theirs)

	ephemeral, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{77}, 32))
	if err != nil {
		t.Fatal(err)
	}
	out := append([]byte{2, 1, 0, 0}, m[4:8]...)
	s.mixHash(ephemeral.PublicKey().Bytes())
	out = append(out, ephemeral.PublicKey().Bytes()...)
	s.mixKey(ephemeral, e)
	s.mixKey(ephemeral, theirs)
	said := binary.BigEndian.AppendUint64(nil, 1<<60) // stamp
	said = binary.BigEndian.AppendUint32(said, p.own)
	said = binary.BigEndian.AppendUint16(said, 1500)
	said = append(said, 1, 0)
	said = binary.BigEndian.AppendUint64(said, p.credit) // opaque: credit, successor, zeros
	said = append(said, make([]byte, 24)...)
	said = binary.BigEndian.AppendUint16(said, uint16(len(certificate)))
	said = append(said, certificate...)
	said = append(said, make([]byte, 384-len(said))...)
	out = append(out, s.encrypt(said)...)
	out = append(out, mac(sum([]byte("dunlin handshake mac1\x00"), theirs), out)[:16]...)
	out = append(out, make([]byte, 16)...)
	from, to := s.hkdf(nil)
	p.rx, p.tx = p.key(from, s.h), p.key(to, s.h)
	return append(putHeader(2, 0, 0, 0, len(out)), out...)
}

// key is that of lane 0 in phase 0.
func (p *docPeer) key(split, hash []byte) cipher.AEAD {
	direction, err := hkdf.Extract(sha256.New, split, hash)
	if err != nil {
		p.t.Fatal(err)
	}
	expand := func(from []byte, label string) []byte {
		out, err := hkdf.Expand(sha256.New, from, label, 32)
		if err != nil {
			p.t.Fatal(err)
		}
		return out
	}
	return gcm(expand(expand(direction, "dunlin seal lane \x00\x00"), "dunlin seal key"))
}

// payload checks what the initiator says of itself, certificate included.
func (p *docPeer) payload(b, key []byte) {
	t := p.t
	if len(b) != 384 || binary.BigEndian.Uint64(b) < uint64(rigUnix) ||
		binary.BigEndian.Uint16(b[12:]) != 1500 || b[14] != 1 || b[15] != 0 ||
		binary.BigEndian.Uint64(b[16:]) != defaultPeerBytes || binary.BigEndian.Uint32(b[24:]) != 0 {
		t.Fatalf("payload: % x", b[:50])
	}
	p.peer = binary.BigEndian.Uint32(b[8:])
	n := int(binary.BigEndian.Uint16(b[48:]))
	c := b[50 : 50+n]
	if !bytes.Equal(b[50+n:], make([]byte, 384-50-n)) {
		t.Fatal("something follows the certificate")
	}
	signed := append([]byte("dunlin certificate\x00"), c[:n-64]...)
	if !ed25519.Verify(p.host, signed, c[n-64:]) || c[0] != 1 || c[1] != 0 ||
		binary.BigEndian.Uint16(c[2:])&1 != 1 || binary.BigEndian.Uint64(c[4:]) != 1 ||
		!bytes.Equal(c[20:52], key) || binary.BigEndian.Uint64(c[12:]) != 1<<40 ||
		!bytes.Equal(c[52:n-64], []byte("\x03lab\x05alpha\x01r")) {
		t.Fatalf("certificate: % x", c)
	}
}

// docRecord is one record; Data are the bytes of a segment.
type docRecord struct {
	kind   byte
	fields []byte // behind the kind
	header byte
	offset uint32
	id     uint64
	total  uint32
	extra  []byte // between segment and bytes
	data   []byte
}

// open decrypts a frame of type 1 and splits its records.
func (p *docPeer) open(frame []byte) (list []docRecord, route uint64) {
	t := p.t
	kind, phase, lane, session, counter, route, body := p.header(frame)
	if kind != 1 || phase != 0 || lane != 0 || session != p.own {
		t.Fatalf("type %d, phase %d, lane %d, session %#x", kind, phase, lane, session)
	}
	b, err := p.rx.Open(nil, docNonce(counter), body, frame[14:14+28])
	if err != nil {
		t.Fatalf("frame %d: %v", counter, err)
	}
	p.largest = max(p.largest, counter)
	p.seen = append(p.seen, counter)
	for len(b) > 0 && b[0] != 0 {
		r := docRecord{kind: b[0]}
		n := 0
		extra := 0
		switch b[0] {
		case 1:
			n = 20 + 8*int(b[1])
		case 2, 9, 10:
			n = 1
		case 3:
			extra = 12
		case 4:
			extra = 8
		case 5:
		case 6:
			extra = 16
		case 7:
			n = 16
		case 8:
			n = 10
		case 11:
			n = 2
		default:
			t.Fatalf("record of kind %d", b[0])
		}
		if b[0] >= 3 && b[0] <= 6 {
			size := int(binary.BigEndian.Uint16(b[2:]))
			r.header, r.offset = b[1], binary.BigEndian.Uint32(b[4:])
			r.id, r.total = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])
			r.extra, r.data = b[20:20+extra], b[20+extra:20+extra+size]
			if r.offset%64 != 0 || size%64 != 0 && r.offset+uint32(size) != r.total {
				t.Fatalf("a segment of %d bytes at %d of %d", size, r.offset, r.total)
			}
			n = 20 + extra + size
		}
		r.fields = b[1:n]
		list = append(list, r)
		b = b[n:]
	}
	return list, route
}

// ack acknowledges all that was seen; the credit is what it was at the start, and more.
func (p *docPeer) ack(more uint64) []byte {
	b := []byte{1, 16, 0, 0}
	b = binary.BigEndian.AppendUint64(b, p.largest)
	b = binary.BigEndian.AppendUint64(b, p.credit+more)
	var words [16]uint64
	for _, c := range p.seen {
		if back := p.largest - c; back < 1024 {
			words[back/64] |= 1 << (back % 64)
		}
	}
	for _, w := range words {
		b = binary.BigEndian.AppendUint64(b, w)
	}
	return b
}

// seal makes a frame of records.
func (p *docPeer) seal(route uint64, records []byte) []byte {
	h := putHeader(1, p.peer, p.counter, route, len(records)+16)
	sealed := p.tx.Seal(nil, docNonce(p.counter), records, h[:28])
	p.counter++
	binary.BigEndian.PutUint32(h[28:], 12345) // the hint is anybody's
	return append(h, sealed...)
}

func docSegment(kind, header byte, offset uint32, id uint64, total uint32,
	extra, data []byte,
) []byte {
	b := []byte{kind, header}
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	b = binary.BigEndian.AppendUint32(b, offset)
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint32(b, total)
	return append(append(b, extra...), data...)
}

// docTalk is an endpoint and a docPeer.
type docTalk struct {
	t *testing.T
	r *rig
	a *side
	p *docPeer
	s SessionID
}

// hear is what the endpoint says until it is silent, without what only acknowledges.
func (x *docTalk) hear() (list []docRecord, route uint64) {
	for n := x.a.e.NextFrame(x.r.now, x.a.buffer); n > 0; n = x.a.e.NextFrame(x.r.now, x.a.buffer) {
		said, at := x.p.open(x.a.buffer[:n])
		for _, r := range said {
			if r.kind > 2 {
				r.data, r.extra = bytes.Clone(r.data), bytes.Clone(r.extra)
				r.fields = bytes.Clone(r.fields)
				list, route = append(list, r), at
			}
		}
	}
	return list, route
}

// one is hear for one record.
func (x *docTalk) one(kind byte) docRecord {
	x.t.Helper()
	list, _ := x.hear()
	if len(list) != 1 || list[0].kind != kind {
		x.t.Fatalf("want one record of kind %d: %+v", kind, list)
	}
	return list[0]
}

func (x *docTalk) say(route uint64, records []byte) {
	x.t.Helper()
	path := RawPath(x.a.mac, [6]byte{2, 0, 0, 0, 0, 9})
	if reason := x.a.e.HandlePacket(x.r.now, &path, x.p.seal(route, records)); reason != OK {
		x.t.Fatalf("it does not take what the document says: %v", reason)
	}
}

func (x *docTalk) event(k EventKind) Event {
	x.t.Helper()
	ev, ok := x.a.e.NextEvent(x.r.now)
	if !ok || ev.Kind != k {
		x.t.Fatalf("want event %d: %+v", k, ev)
	}
	ev.Header, ev.Data = bytes.Clone(ev.Header), bytes.Clone(ev.Data)
	return *ev
}

// talkByDoc opens a session between an endpoint and a docPeer that grants so much credit.
func talkByDoc(t *testing.T, credit uint64) *docTalk {
	r := newRig(t)
	a := r.add(nil)
	b := r.add(nil) // only for its key and certificate
	private := [32]byte{0x58, b.n}
	static, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		t.Fatal(err)
	}
	p := &docPeer{
		t: t, static: static, host: r.host.Public().(ed25519.PublicKey), own: 0xABCD1234,
		credit: credit,
	}
	x := &docTalk{t: t, r: r, a: a, p: p}
	path := RawPath(a.mac, [6]byte{2, 0, 0, 0, 0, 9})
	if x.s, err = a.e.Connect(r.now, Peer{Path: path, Key: b.key}); err != nil {
		t.Fatal(err)
	}
	job := func() {
		j := a.e.NextJob()
		j.Run()
		a.e.JobDone(r.now, j)
	}
	job()
	n := a.e.NextFrame(r.now, a.buffer)
	answer := p.answer(a.buffer[:n], r.certificate(b))
	if reason := a.e.HandlePacket(r.now, &path, answer); reason != OK {
		t.Fatalf("message 2: %v", reason)
	}
	job()
	x.event(EventUp)
	if list, _ := x.hear(); len(list) != 0 || len(p.seen) != 1 {
		t.Fatalf("the first frame: %+v", list)
	}
	x.say(0, p.ack(0))
	return x
}

// TestWireDocument has the endpoint and the peer from the document say everything to each other.
func TestWireDocument(t *testing.T) {
	x := talkByDoc(t, 1<<20)
	o := x.r.order(x.s)
	o.Header, o.Route, o.Tag = []byte("head"), 42, 7
	if _, err := x.a.e.Call(x.r.now, o, []byte("question")); err != nil {
		t.Fatal(err)
	}
	list, route := x.hear()
	if len(list) != 1 || route != 42 || list[0].kind != 3 || list[0].header != 4 ||
		string(list[0].data) != "headquestion" || list[0].id != 0 || list[0].total != 12 ||
		binary.BigEndian.Uint32(list[0].extra) != 1_000_000 {
		t.Fatalf("a call: %+v, route %d", list, route)
	}
	token := list[0].extra[4:]
	x.say(0, docSegment(4, 3, 0, 0, 9, token, []byte("ANSanswer")))
	if ev := x.event(EventReply); string(ev.Header) != "ANS" || string(ev.Data) != "answer" ||
		ev.Tag != 7 || ev.Outcome != Done {
		t.Fatalf("its reply: %+v", ev)
	}

	x.say(0, x.p.ack(0))
	call, err := x.a.e.Call(x.r.now, o, []byte("refused"))
	if err != nil {
		t.Fatal(err)
	}
	x.say(0, append(x.p.ack(0), docSegment(4, 0x80, 0, 1, 0, x.one(3).extra[4:], nil)...))
	if ev := x.event(EventReply); ev.Call != call || ev.Outcome != Failed || ev.Cause != CauseRefused {
		t.Fatalf("a reply that refuses: %+v", ev)
	}

	if err := x.a.e.Send(x.r.now, x.r.order(x.s), pattern(3000, 1)); err != nil {
		t.Fatal(err)
	}
	var whole []byte
	for range 10 { // it goes at a pace
		list, _ = x.hear()
		for _, r := range list {
			if r.kind != 5 || int(r.offset) != len(whole) || r.total != 3000 || r.id != 2 {
				t.Fatalf("a part of a message: %+v", r)
			}
			whole = append(whole, r.data...)
		}
		x.say(0, x.p.ack(0))
		x.r.now += 100 * core.Microsecond
		x.a.e.HandleTimeout(x.r.now)
	}
	if !bytes.Equal(whole, pattern(3000, 1)) {
		t.Fatalf("the message is another: %d bytes", len(whole))
	}
	x.event(EventSent)

	write := func() docRecord {
		t.Helper()
		target := Target{Region: 0x1122334455667788, Offset: 99}
		if _, err := x.a.e.Write(x.r.now, x.r.order(x.s), target, []byte("bytes")); err != nil {
			t.Fatal(err)
		}
		w := x.one(6)
		if binary.BigEndian.Uint64(w.extra) != 0x1122334455667788 ||
			binary.BigEndian.Uint64(w.extra[8:]) != 99 || string(w.data) != "bytes" {
			t.Fatalf("a write: %+v", w)
		}
		return w
	}
	write()
	x.say(0, x.p.ack(0))
	if ev := x.event(EventWritten); ev.Outcome != Done {
		t.Fatalf("%+v", ev)
	}
	w := write()
	x.say(0, binary.BigEndian.AppendUint64([]byte{8, byte(CauseRegion)}, w.id))
	if ev := x.event(EventWritten); ev.Outcome != Failed || ev.Cause != CauseRegion {
		t.Fatalf("a write that is refused: %+v", ev)
	}
	x.say(0, x.p.ack(0))

	if call, err = x.a.e.Call(x.r.now, o, []byte("given up")); err != nil {
		t.Fatal(err)
	}
	id := x.one(3).id
	if err := x.a.e.Cancel(x.r.now, call); err != nil {
		t.Fatal(err)
	}
	x.event(EventReply)
	if f := x.one(7).fields; f[0] != 3 || f[1] != 0 || f[2] != 0 ||
		binary.BigEndian.Uint32(f[3:]) != 12 || binary.BigEndian.Uint64(f[7:]) != id {
		t.Fatalf("abandon: % x", f)
	}
	x.say(0, x.p.ack(0))
	x.theirs()
	x.endings()
}

// theirs is calls, messages and writes to the endpoint, and what it acknowledges.
func (x *docTalk) theirs() {
	t := x.t
	memory := make([]byte, 100)
	region, err := x.a.e.Register(x.s, memory, RightWrite)
	if err != nil {
		t.Fatal(err)
	}
	extra := append([]byte{0, 0, 0x27, 0x10}, 9, 8, 7, 6, 5, 4, 3, 2) // 10 ms, token
	x.say(5, docSegment(3, 2, 0, 2, 200, extra, pattern(128, 0)))
	x.say(5, docSegment(3, 2, 128, 2, 200, extra, pattern(200, 0)[128:]))
	ev := x.event(EventRequest)
	if !bytes.Equal(append(ev.Header, ev.Data...), pattern(200, 0)) || len(ev.Header) != 2 ||
		ev.Route != 5 || ev.Deadline != x.r.now+10*core.Millisecond {
		t.Fatalf("a call in two parts: %+v", ev)
	}
	if err := x.a.e.Reply(x.r.now, ev.Request, []byte("h"), []byte("reply")); err != nil {
		t.Fatal(err)
	}
	list, route := x.hear()
	if len(list) != 1 || route != 5 || list[0].kind != 4 || list[0].header != 1 ||
		!bytes.Equal(list[0].extra, extra[4:]) || string(list[0].data) != "hreply" {
		t.Fatalf("a reply: %+v", list)
	}
	at := binary.BigEndian.AppendUint64(nil, uint64(region))
	at = binary.BigEndian.AppendUint64(at, 10)
	x.say(0, docSegment(6, 0, 0, 3, 5, at, []byte("there")))
	if string(memory[10:15]) != "there" {
		t.Fatalf("memory: %q", memory[:20])
	}
	x.say(0, append(docSegment(5, 0, 0, 4, 3, nil, []byte("msg")), 2)) // and a ping
	x.event(EventMessage)
	n := x.a.e.NextFrame(x.r.now, x.a.buffer)
	said, _ := x.p.open(x.a.buffer[:n])
	if n == 0 || said[0].kind != 1 {
		t.Fatalf("a ping is not answered: %+v", said)
	}
	f := said[0].fields // the newest of ours, and all before it
	if largest := binary.BigEndian.Uint64(f[3:]); largest != x.p.counter-1 ||
		binary.BigEndian.Uint64(f[11:]) < defaultPeerBytes ||
		binary.BigEndian.Uint64(f[19:])&1 != 1 {
		t.Fatalf("an acknowledgement: % x", f)
	}
	at = binary.BigEndian.AppendUint64(nil, 12345)
	x.say(0, x.p.ack(0))
	path := RawPath(x.a.mac, [6]byte{2, 0, 0, 0, 0, 9})
	bad := x.p.seal(0, docSegment(6, 0, 0, 5, 5, append(at, at...), []byte("wrong")))
	if reason := x.a.e.HandlePacket(x.r.now, &path, bad); reason != ReasonRegion {
		t.Fatalf("a write to no region: %v", reason)
	}
	if f := x.one(8).fields; f[0] != byte(CauseRegion) || binary.BigEndian.Uint64(f[1:]) != 5 {
		t.Fatalf("refuse: % x", f)
	}
	abandon := []byte{7, 5, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 6}
	x.say(0, append(x.p.ack(0), abandon...))
}

// endings is draining, closing and what is said of an unknown session.
func (x *docTalk) endings() {
	t := x.t
	x.say(0, []byte{10})
	x.event(EventDraining)
	if err := x.a.e.Drain(x.r.now, x.s); err != nil {
		t.Fatal(err)
	}
	x.one(10)
	x.say(0, x.p.ack(0))
	x.event(EventDown)
	if list, _ := x.hear(); len(list) != 2 || list[0].kind != 11 ||
		list[1].fields[0] != byte(CauseClosed) {
		t.Fatalf("close: %+v", list)
	}
	path := RawPath(x.a.mac, [6]byte{2, 0, 0, 0, 0, 9})
	x.p.peer ^= 1 << 20
	stray := x.p.seal(0, []byte{2})
	if reason := x.a.e.HandlePacket(x.r.now, &path, bytes.Clone(stray)); reason != ReasonSession {
		t.Fatalf("a frame of no session: %v", reason)
	}
	n := x.a.e.NextFrame(x.r.now, x.a.buffer)
	kind, phase, lane, session, counter, _, body := x.p.header(x.a.buffer[:n])
	if kind != 3 || phase != 0 || lane != 0 || session != x.p.peer || counter != x.p.counter-1 ||
		len(body) != 0 {
		t.Fatalf("hint: % x", x.a.buffer[:n])
	}
}

// TestWireDocumentCredit: a lane without credit says so, and goes on when it has some.
func TestWireDocumentCredit(t *testing.T) {
	x := talkByDoc(t, 1024) // two transfers of 257 to 512 bytes
	for range 3 {
		if err := x.a.e.Send(x.r.now, x.r.order(x.s), pattern(300, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if list, _ := x.hear(); len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	x.say(0, x.p.ack(0))
	x.event(EventSent)
	x.event(EventSent)
	x.r.now += creditProbeFirst
	x.a.e.HandleTimeout(x.r.now)
	x.one(9)
	x.say(0, x.p.ack(512))
	x.one(5)
}
