package dataplane_test

import (
	"sync"
	"testing"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"pgregory.net/rapid"
)

// TestPortModel runs random sequences of what the two sides of a port may do. After each step every
// chunk is in exactly one place; packets arrive whole, in order, and unless the port counted a
// drop, all of them.
func TestPortModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks := rapid.SampledFrom([]int{128, 130, 512}).Draw(t, "chunks")
		fill := rapid.IntRange(0, 64).Draw(t, "fill")
		m := &portModel{rig: newRig(t, dataplane.LayoutConfig{
			Workers: 1, RingEntries: 64,
			ChunkBytes: 4096, Chunks: chunks,
		}, fill)}
		m.kernel.holdBack = true
		actions := map[string]func(*rapid.T){
			"deliver": m.deliver, "receive": m.receive, "free": m.free, "send": m.send,
			"flush": m.flush, "complete": m.complete, "alloc": m.alloc, "": m.check,
		}
		if rapid.Bool().Draw(t, "hostile") {
			actions["nonsense"] = m.nonsense
		}
		t.Repeat(actions)
	})
}

type portModel struct {
	*rig
	held      [][]dataplane.Frame // packets in the caller's hand
	delivered []int               // frames of each packet on the rx ring, 0 if it must be dropped
	mark      byte
	received  byte // mark of the next packet to receive
	sent      []byte
	nonsensed bool
}

func (m *portModel) deliver(t *rapid.T) {
	frames := rapid.IntRange(1, dataplane.MaxSegments+2).Draw(t, "frames")
	if m.kernel.deliver(frames, rapid.IntRange(1, 3840).Draw(t, "length"), m.mark) {
		m.mark++
		m.delivered = append(m.delivered, frames)
	}
}

func (m *portModel) receive(t *rapid.T) {
	var burst [dataplane.MaxBurst]dataplane.Frame
	room := rapid.IntRange(0, len(burst)).Draw(t, "room")
	frames := burst[:m.port.Recv(burst[:room])]
	for len(frames) > 0 {
		n := dataplane.Segments(frames)
		if n == 0 {
			t.Fatalf("received part of a packet: %v", frames)
		}
		mark := m.pool.Bytes(frames[0])[0]
		if !m.nonsensed {
			m.expect(t, n, mark)
		}
		m.held = append(m.held, append([]dataplane.Frame(nil), frames[:n]...))
		frames = frames[n:]
	}
}

// expect checks a received packet against what was delivered, apart from those that are too long.
func (m *portModel) expect(t *rapid.T, frames int, mark byte) {
	for len(m.delivered) > 0 && m.delivered[0] > dataplane.MaxSegments {
		m.delivered = m.delivered[1:]
		m.received++
	}
	if len(m.delivered) == 0 || m.delivered[0] != frames || m.received != mark {
		t.Fatalf("received packet %d of %d frames, want %d of %v", mark, frames, m.received,
			m.delivered)
	}
	m.delivered = m.delivered[1:]
	m.received++
}

// pick takes a packet out of the caller's hand.
func (m *portModel) pick(t *rapid.T) []dataplane.Frame {
	if len(m.held) == 0 {
		return nil
	}
	at := rapid.IntRange(0, len(m.held)-1).Draw(t, "packet")
	p := m.held[at]
	m.held = append(m.held[:at], m.held[at+1:]...)
	return p
}

func (m *portModel) free(t *rapid.T) { m.cache.FreeAll(m.pick(t)) }

func (m *portModel) alloc(*rapid.T) {
	if index, ok := m.cache.Alloc(); ok {
		m.held = append(m.held, []dataplane.Frame{{Index: index, Len: 60}})
	}
}

func (m *portModel) send(t *rapid.T) {
	var out []dataplane.Frame
	for range rapid.IntRange(1, 5).Draw(t, "packets") {
		out = append(out, m.pick(t)...)
	}
	n := m.port.Send(out)
	if n > 0 && out[n-1].More() {
		t.Fatalf("sent %d frames and with them a part of a packet", n)
	}
	for sent := out[:n]; len(sent) > 0; sent = sent[dataplane.Segments(sent):] {
		m.sent = append(m.sent, m.pool.Bytes(sent[0])[0])
	}
	for rest := out[n:]; len(rest) > 0; {
		k := dataplane.Segments(rest)
		m.held = append(m.held, rest[:k:k])
		rest = rest[k:]
	}
}

func (m *portModel) flush(t *rapid.T) {
	for range rapid.IntRange(0, 3).Draw(t, "kicks") {
		m.kernel.kick = append(m.kernel.kick, kickEvent{
			take: uint32(rapid.IntRange(0, 64).Draw(t, "take")),
			say: rapid.SampledFrom([]dataplane.Kick{
				dataplane.KickAgain, dataplane.KickAgain,
				dataplane.KickBlocked,
			}).Draw(t, "say"),
		})
	}
	m.port.Flush()
	m.kernel.kick = nil
}

func (m *portModel) complete(t *rapid.T) {
	m.kernel.complete(rapid.IntRange(0, 64).Draw(t, "n"))
}

// nonsense writes a descriptor or a completion that may be anything.
func (m *portModel) nonsense(t *rapid.T) {
	m.nonsensed = true
	addr := uint64(rapid.IntRange(0, m.pool.Chunks()*4096+100).Draw(t, "addr"))
	if rapid.Bool().Draw(t, "completion") {
		if m.kernel.far.Completion.Reserve(1) == 1 {
			m.kernel.far.Completion.Set(0, addr)
			m.kernel.far.Completion.Submit(1)
		}
		return
	}
	if m.kernel.far.Rx.Reserve(1) == 1 {
		m.kernel.far.Rx.Set(0, ring.Desc{
			Addr:    addr,
			Len:     rapid.Uint32Range(0, 5000).Draw(t, "len"),
			Options: rapid.Uint32Range(0, 3).Draw(t, "options"),
		})
		m.kernel.far.Rx.Submit(1)
	}
}

func (m *portModel) check(t *rapid.T) {
	held := 0
	seen := map[uint32]bool{}
	for _, p := range m.held {
		for _, f := range p {
			if seen[f.Index] {
				t.Fatalf("chunk %d is held twice", f.Index)
			}
			seen[f.Index] = true
			held++
		}
	}
	m.audit(t, held)
	if n := len(m.kernel.sent); !m.nonsensed && string(m.kernel.sent) != string(m.sent[:n]) {
		t.Fatalf("transmitted %v, sent %v", m.kernel.sent, m.sent)
	}
}

// TestPortsShareAPool runs a port, its kernel and a sender on each of several threads over one
// pool: chunks wander between them through the depot, and all are there in the end.
func TestPortsShareAPool(t *testing.T) {
	const workers, turns = 4, 3000
	shared := newRig(t, dataplane.LayoutConfig{
		Workers: workers, RingEntries: 64, ChunkBytes: 2048,
		Chunks: 512,
	}, 32)
	rigs := []*rig{shared}
	for w := 1; w < workers; w++ {
		r := *shared
		r.attach(t, w, 32)
		rigs = append(rigs, &r)
	}
	var wg sync.WaitGroup
	for w, r := range rigs {
		wg.Go(func() {
			var burst [dataplane.MaxBurst]dataplane.Frame
			for turn := range turns {
				for range turn % 5 {
					r.kernel.deliver(1+(turn+w)%3, 60, byte(w))
				}
				n := r.port.Recv(burst[:])
				for _, f := range burst[:n] {
					if b := r.pool.Bytes(f)[0]; b != byte(w) {
						t.Errorf("worker %d received a frame of worker %d", w, b)
						return
					}
				}
				if turn%3 == 0 {
					r.cache.FreeAll(burst[:n])
				} else if sent := r.port.Send(burst[:n]); sent < n {
					r.cache.FreeAll(burst[sent:n])
				}
				r.port.Flush()
			}
			r.port.Recv(burst[:0])
			r.cache.Drain()
		})
	}
	wg.Wait()
	total := shared.pool.Stored()
	for w, r := range rigs {
		l := r.port.Lent()
		if l.Tx != 0 {
			t.Errorf("worker %d: %d chunks still lent to transmit", w, l.Tx)
		}
		total += l.Rx + l.Tx
	}
	if total != shared.pool.Chunks() {
		t.Errorf("%d chunks are accounted for, of %d", total, shared.pool.Chunks())
	}
}
