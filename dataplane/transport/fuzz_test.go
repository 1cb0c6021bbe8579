package transport

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// FuzzRecords has a peer with a valid key say anything: no crash, and the books stay right.
func FuzzRecords(f *testing.F) {
	data := pattern(64, 0)
	f.Add(record(segment{kind: recordCall, id: 0, total: 64, remaining: 1000, data: data}))
	f.Add(record(segment{kind: recordMessage, id: 1, total: 6400, data: data}))
	f.Add(ackOf(3))
	f.Add(abandonOf(2))
	f.Add([]byte{byte(recordPing), byte(recordBlocked), byte(recordDrain), byte(recordClose), 1})
	f.Add([]byte{byte(recordDone), byte(recordPing), byte(recordDone)})
	r, a, b, _, _ := pair(f, 0, nil)
	f.Fuzz(func(t *testing.T, records []byte) {
		if len(records) > 1400 {
			return
		}
		if s := b.e.sessions[1]; s == nil || s.state != sessionOpen || a.e.sessions[1] == nil {
			r, a, b, _, _ = pair(t, 0, nil)
		}
		r.t = t
		a.say(r, b, records)
		b.e.mustAudit(t, r.now)
		r.drain(b)
	})
}

// FuzzFrame feeds whole frames of anybody.
func FuzzFrame(f *testing.F) {
	r, a, b, sa, _ := pair(f, 0, nil)
	_, _ = a.e.Call(r.now, r.order(sa), pattern(64, 0))
	n := a.e.NextFrame(r.now, a.buffer)
	f.Add(append([]byte(nil), a.buffer[:n]...))
	f.Add(append([]byte(nil), a.buffer[:wire.EthernetBytes+HeaderBytes]...))
	f.Fuzz(func(t *testing.T, frame []byte) {
		r.t = t
		b.e.HandleFrame(r.now, frame)
		b.e.mustAudit(t, r.now)
		r.drain(b)
	})
}

// FuzzHeader: what is taken as a frame of ours is as long as it says and is what put writes.
func FuzzHeader(f *testing.F) {
	h := Header(make([]byte, HeaderBytes+20))
	h.put(TypeData, 3, 2, 0x01020304, 1<<40, 77)
	h.setLength(16)
	f.Add([]byte(h))
	f.Add([]byte(h[:HeaderBytes]))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		h, body, reason := parseHeader(b)
		if !bytes.Equal(b, before) {
			t.Fatal("it was written")
		}
		if reason != OK {
			if h != nil || body != nil {
				t.Fatalf("%v, and %d and %d bytes", reason, len(h), len(body))
			}
			return
		}
		if len(h) != HeaderBytes || len(body) != h.Length() || cap(body) != len(body) ||
			len(h.Bound()) != boundBytes {
			t.Fatalf("%d bytes and %d in a frame of %d", len(h), len(body), len(b))
		}
		again := Header(make([]byte, HeaderBytes))
		again.put(h.Type(), h.Phase(), h.Lane(), h.Session(), h.Counter(), h.Route())
		again.setLength(h.Length())
		again.SetHint(h.Hint())
		if !bytes.Equal(again, h) {
			t.Fatalf("% x, read and written: % x", []byte(h), []byte(again))
		}
	})
}

// FuzzRecord: each record that can be read is what is written for what was read.
func FuzzRecord(f *testing.F) {
	for _, k := range []recordKind{recordCall, recordReply, recordMessage, recordWrite} {
		f.Add(record(segment{kind: k, id: 9, total: 64, data: pattern(64, 0)}))
		f.Add(record(segment{kind: k, id: 9, offset: 128, total: 1000, data: pattern(64, 0)}))
	}
	f.Add(record(segment{kind: recordReply, flags: replyRefused}))
	f.Add(ackOf(1 << 33))
	f.Add(abandonOf(7))
	f.Add([]byte{byte(recordRefuse), 9, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		again := make([]byte, len(b))
		n := 0
		switch k := recordKind(b[0]); k {
		case recordCall, recordReply, recordMessage, recordWrite:
			var s segment
			if n = parseSegment(b, &s); n == 0 {
				return
			}
			if end := uint64(s.offset) + uint64(len(s.data)); end > uint64(s.total) ||
				s.total > MaxMessageBytes || s.at+uint64(s.total) < s.at {
				t.Fatalf("%+v makes no sense", s)
			}
			copy(putSegment(again, &s, len(s.data)), s.data)
		case recordAck:
			var a ack
			if n = parseAck(b, &a); n == 0 {
				return
			}
			putAck(again, &a)
		case recordAbandon:
			a, ok := parseAbandon(b)
			if !ok {
				return
			}
			n = abandonBytes
			putAbandon(again, a)
		case recordRefuse:
			r, ok := parseRefuse(b)
			if !ok {
				return
			}
			n = refuseBytes
			putRefuse(again, r)
		}
		if !bytes.Equal(again[:n], b[:n]) {
			t.Fatalf("% x, read and written: % x", b[:n], again[:n])
		}
	})
}

// FuzzHint: whatever is hinted ends nothing and changes nothing but that the peer is asked.
func FuzzHint(f *testing.F) {
	r, a, peer, sa, _ := pair(f, 0, nil)
	r.run(core.Second)
	call := func(t testing.TB) Header {
		if _, err := a.e.Call(r.now, r.order(sa), pattern(64, 0)); err != nil {
			t.Fatal(err)
		}
		n := a.e.NextFrame(r.now, a.buffer)
		return Header(bytes.Clone(a.buffer[wire.EthernetBytes:n]))
	}
	h := call(f)
	hint := Header(make([]byte, HeaderBytes))
	hint.put(TypeUnknown, h.Phase(), h.Lane(), h.Session(), h.Counter(), 0)
	f.Add([]byte(hint))
	hint.put(TypeUnknown, 0, 63, h.Session(), ^uint64(0), 0)
	f.Add([]byte(hint))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < HeaderBytes {
			return
		}
		b = bytes.Clone(b)
		b[1] = byte(TypeUnknown)
		before := digestOf(a.e)
		path := a.path(peer, 0)
		r.now += core.Second / hintsPerSecond
		reason := a.e.HandlePacket(r.now, &path, b)
		if after := digestOf(a.e); after != before {
			t.Fatalf("%v changed %+v to %+v", reason, before, after)
		}
		if s := a.e.find(sa); s == nil || s.state != sessionOpen {
			t.Fatal("a hint ended a session")
		}
		a.e.mustAudit(t, r.now)
	})
}
