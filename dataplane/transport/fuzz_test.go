package transport

import (
	"testing"

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
