package transport

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// TestResponderSpeaksSecond: who has keys by somebody else's message 1 says nothing with them before
// the first frame from there, even when its session is closed or drained meanwhile. The simulator
// found it (seed 41572246): one number of the peer's was used with many keys.
func TestResponderSpeaksSecond(t *testing.T) {
	for name, end := range map[string]func(e *Endpoint, now core.Time, id SessionID) error{
		"close": (*Endpoint).Close, "drain": (*Endpoint).Drain,
	} {
		r := newRig(t)
		a, b := r.add(nil), r.add(nil)
		if bytes.Compare(a.key[:], b.key[:]) > 0 {
			a, b = b, a
		}
		// Both begin, and the smaller key's handshake goes on. Its answer is held.
		said := 0
		var answer []byte
		r.watch = func(from *side, frame []byte) []byte {
			if from != b {
				return frame
			}
			if h := Header(frame[wire.EthernetBytes:]); h.Type() == TypeHandshake {
				answer = bytes.Clone(frame)
				return nil
			}
			said++
			return frame
		}
		ofB, err := b.e.Connect(r.now, Peer{Path: b.path(a, 0), Key: a.key})
		if err != nil {
			t.Fatal(err)
		}
		ofA, err := a.e.Connect(r.now, Peer{Path: a.path(b, 0), Key: b.key})
		if err != nil {
			t.Fatal(err)
		}
		r.until("the responder has keys", core.Second, func() bool {
			return b.e.find(ofB).state == sessionOpen
		})
		if err := end(b.e, r.now, ofB); err != nil {
			t.Fatal(err)
		}
		r.run(20 * core.Millisecond)
		if said != 0 {
			t.Errorf("%s: it said %d things unasked", name, said)
		}
		r.watch = nil
		r.send(b, answer)
		r.until("the session is over at the initiator", core.Second, func() bool {
			return a.e.find(ofA) == nil
		})
		down, _ := a.take(EventDown)
		if _, up := a.take(EventUp); !up || down.Cause != CausePeer {
			t.Errorf("%s: up is %t, down %+v", name, up, down)
		}
	}
}
