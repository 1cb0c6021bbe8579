package memlink

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

// delivery is a packet under way.
type delivery struct {
	at    core.Time
	order uint64 // breaks ties: as offered
	bytes []byte
}

// path is one direction: the packets under way, ordered by time, and those remembered for replays.
type path struct {
	model   *fault.Model
	limit   int        // of heap
	heap    []delivery // the earliest first
	free    [][]byte   // buffers to use again
	history [][]byte   // the last packets offered, the oldest first, as many as replays may ask for
	order   uint64
	counts  Counters
}

// buffer is an empty one; recycle takes it back.
func (p *path) buffer() []byte {
	if len(p.free) == 0 {
		return nil
	}
	last := len(p.free) - 1
	b := p.free[last]
	p.free = p.free[:last]
	return b[:0]
}

func (p *path) recycle(b []byte) { p.free = append(p.free, b) }

// offer has the model judge a packet. It owns b.
func (p *path) offer(now core.Time, b []byte) {
	p.counts.Offered++
	if p.model == nil {
		p.push(now, b)
		return
	}
	v := p.model.Judge(now, len(b))
	p.remember(b)
	for _, d := range v.Deliveries() {
		original := b
		if d.Back > 0 {
			if d.Back >= len(p.history) {
				p.counts.Forgotten++
				continue
			}
			original = p.history[len(p.history)-1-d.Back]
		}
		p.push(d.At, fault.Apply(d, append(p.buffer(), original...)))
	}
	p.recycle(b)
}

// remember keeps a copy of the packet at hand and of as many before it as a replay may ask for.
func (p *path) remember(b []byte) {
	r := p.model.Config().Replay
	if r.Probability == 0 {
		return
	}
	for len(p.history) > r.Depth {
		p.recycle(p.history[0])
		p.history = p.history[:copy(p.history, p.history[1:])]
	}
	p.history = append(p.history, append(p.buffer(), b...))
}

// next is when the earliest packet is due.
func (p *path) next() core.Time {
	if len(p.heap) == 0 {
		return core.Never
	}
	return p.heap[0].at
}

// before orders deliveries.
func (p *path) before(i, j int) bool {
	a, b := &p.heap[i], &p.heap[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

// push puts a packet under way. It owns b.
func (p *path) push(at core.Time, b []byte) {
	if len(p.heap) == p.limit {
		p.counts.Overflow++
		p.recycle(b)
		return
	}
	p.order++
	p.heap = append(p.heap, delivery{at: at, order: p.order, bytes: b})
	for i := len(p.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !p.before(i, parent) {
			break
		}
		p.heap[i], p.heap[parent] = p.heap[parent], p.heap[i]
		i = parent
	}
}

// pop takes the earliest packet; its bytes are the caller's until recycle.
func (p *path) pop() []byte {
	b := p.heap[0].bytes
	last := len(p.heap) - 1
	p.heap[0] = p.heap[last]
	p.heap[last] = delivery{}
	p.heap = p.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if p.before(child, least) {
				least = child
			}
		}
		if least == i {
			return b
		}
		p.heap[i], p.heap[least] = p.heap[least], p.heap[i]
		i = least
	}
}
