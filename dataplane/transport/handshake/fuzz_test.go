package handshake

import (
	"bytes"
	"testing"
)

// FuzzPayload: a payload that can be read is what encode writes for what was read.
func FuzzPayload(f *testing.F) {
	p := payload{
		stamp: 1 << 60, params: Params{Session: 7, MTU: 9000, Lanes: 3, Opaque: [OpaqueBytes]byte{1}},
		certificate: bytes.Repeat([]byte{5}, 200),
	}
	f.Add(p.encode())
	p.certificate = nil
	f.Add(p.encode())
	f.Add(make([]byte, PayloadBytes-1))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p payload
		if !p.decode(b) {
			return
		}
		if !bytes.Equal(p.encode(), b) {
			t.Fatalf("%+v: % x", p, b)
		}
	})
}

// FuzzMessage: the checks before anything is looked at let only messages of their size pass.
func FuzzMessage(f *testing.F) {
	for kind, size := range map[byte]int{
		kindInit: InitBytes, kindReply: ReplyBytes, kindCookie: CookieBytes,
	} {
		f.Add(begin(nil, kind, false, 1), size-headBytes, false)
		f.Add(begin(nil, kind, true, 1), size-headBytes, true)
	}
	f.Add([]byte{}, 0, false)
	f.Fuzz(func(t *testing.T, head []byte, rest int, insecure bool) {
		if rest < 0 || rest > 2*MaxBytes {
			return
		}
		b := append(bytes.Clone(head), make([]byte, rest)...)
		kind, reason := check(b, insecure)
		if reason != OK {
			return
		}
		want := map[byte]int{kindInit: InitBytes, kindReply: ReplyBytes, kindCookie: CookieBytes}
		if len(b) != want[kind] || b[0] != kind || b[1] != Version || b[2] != flags(insecure) ||
			b[3] != 0 {
			t.Fatalf("kind %d: % x", kind, b[:headBytes])
		}
	})
}

// FuzzCookie: a side that waits for an answer takes the one cookie that was made for its message,
// and is as it was after anything else.
func FuzzCookie(f *testing.F) {
	w := newWorld(f)
	a, b := w.pair()
	cookie := cookieFor(w, a, b)
	back := w.path(a, b)
	f.Add(bytes.Clone(cookie))
	f.Add(flipped(cookie, headBytes*8))
	f.Add(cookie[:headBytes])
	mine := a.m.out[0]
	last := bytes.Clone(mine.last)
	f.Fuzz(func(t *testing.T, m []byte) {
		if len(m) == 0 {
			return
		}
		m = bytes.Clone(m)
		m[0] = kindCookie
		reason := a.m.Handle(w.now, &back, m)
		if (reason == OK) != bytes.Equal(m, cookie) {
			t.Fatalf("%v: % x", reason, m)
		}
		if reason == OK { // it goes out again; once more from the start
			mine.cookied, mine.cookie, mine.last = false, [macBytes]byte{}, bytes.Clone(last)
			a.m.messages = nil
			return
		}
		if mine.cookied || mine.cookie != [macBytes]byte{} || !bytes.Equal(mine.last, last) ||
			len(a.m.messages) != 0 || mine.state != waiting {
			t.Fatalf("%v, and the attempt is another", reason)
		}
	})
}
