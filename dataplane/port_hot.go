package dataplane

import (
	"github.com/dunlin-io/dunlin/core/invariant"
	"github.com/dunlin-io/dunlin/core/ring"
)

// Recv implements Link.
func (p *Port) Recv(dst []Frame) int {
	most := uint32(len(dst))
	seen := p.rings.Rx.Peek(most)
	taken, n := p.take(seen, dst)
	if taken == 0 && seen > 0 && seen < most && p.rings.Rx.Waiting() > seen {
		taken, n = p.take(p.rings.Rx.Peek(most), dst) // the rest of a packet has come since
	}
	if taken > 0 {
		p.adapt(p.rings.Rx.Seen())
		p.rings.Rx.Release(taken)
		p.down = false
	}
	p.upkeep(taken == 0)
	return n
}

// take claims the packets that end within the first seen descriptors. It returns how many
// descriptors are done with, and how many frames it put into dst.
func (p *Port) take(seen uint32, dst []Frame) (taken uint32, n int) {
	for taken < seen {
		length, ended := p.span(taken, seen)
		switch {
		case p.skip || length > MaxSegments:
			if !p.skip {
				p.counts.RxTooLong++
			}
			p.discard(taken, length)
			p.skip = !ended
		case !ended:
			return taken, n
		case p.accept(taken, dst[n:n+int(length)]):
			n += int(length)
			p.counts.RxPackets++
			p.counts.RxFrames += uint64(length)
		default:
			p.counts.RxBad++
		}
		taken += length
	}
	return taken, n
}

// span is how many of the descriptors from at to seen belong to one packet, and whether it ends
// there.
func (p *Port) span(at, seen uint32) (length uint32, ended bool) {
	for at+length < seen {
		length++
		if p.rings.Rx.At(at+length-1).Options&ring.OptionMore == 0 {
			return length, true
		}
	}
	return length, false
}

// accept claims the frames of the packet whose descriptors begin at at; if one of them is bad it
// frees the others and returns false.
func (p *Port) accept(at uint32, packet []Frame) bool {
	good := 0
	for i := range packet {
		f, ok := p.claim(p.rings.Rx.At(at + uint32(i)))
		if !ok {
			continue
		}
		if i+1 < len(packet) {
			f.Len |= FrameMore
		}
		packet[good] = f
		good++
	}
	if good < len(packet) {
		p.cache.FreeAll(packet[:good])
		return false
	}
	return true
}

// discard frees the frames of descriptors that nobody gets.
func (p *Port) discard(at, length uint32) {
	for i := range length {
		if f, ok := p.claim(p.rings.Rx.At(at + i)); ok {
			p.cache.Free(f.Index)
		}
	}
}

// claim takes a received chunk back from the other side, if it is one that the other side had, and
// returns its frame if there is something in it. The kernel neither makes an empty frame nor takes
// one, and would keep its chunk if it were sent back.
func (p *Port) claim(d ring.Desc) (Frame, bool) {
	f, ok := p.pool.FrameAt(d.Addr, d.Len)
	if !ok || !p.rx.settle(f.Index) {
		p.counts.BadDescriptors++
		return Frame{}, false
	}
	p.lent--
	if d.Len == 0 {
		p.counts.BadDescriptors++
		p.cache.Free(f.Index)
		return Frame{}, false
	}
	return f, true
}

// upkeep keeps chunks circulating: sent ones back to the pool, free ones to the fill ring. A busy
// port does so in batches; an idle one looks for all that was sent, and whether the other side went
// to sleep between our publishing chunks and its seeing them.
func (p *Port) upkeep(idle bool) {
	short := p.fill - min(p.fill, p.lent)
	if p.sending >= p.reapAt || p.sending > 0 && (idle || short >= p.refillAt) {
		p.reap()
	}
	if short >= p.refillAt {
		p.refill()
	}
	if idle {
		p.wakeToFill()
	}
}

// adapt moves the number of chunks to lend, given how many were found filled.
func (p *Port) adapt(filled uint32) {
	switch {
	case filled >= p.fill/4:
		p.fill, p.calm = min(2*p.fill, p.most), 0
	case filled >= p.fill/16:
		p.calm = 0
	default:
		if p.calm++; p.calm == calmTurns {
			p.fill, p.calm = max(p.fill/2, p.least), 0
		}
	}
}

// reap returns the chunks whose transmission is over to the pool, and reports whether there were
// any.
func (p *Port) reap() (any bool) {
	for p.sending > 0 {
		n := p.rings.Completion.Peek(MaxBurst)
		if n == 0 {
			break
		}
		any = true
		sent := p.sent[:0]
		for i := range n {
			index := p.rings.Completion.At(i) >> p.pool.shift
			if index >= uint64(p.pool.count) || !p.tx.settle(uint32(index)) {
				p.counts.BadDescriptors++
				continue
			}
			sent = p.sent[:len(sent)+1]
			sent[len(sent)-1] = uint32(index)
		}
		// First the index, then the chunks: another worker may hand in one at once, and the
		// iokernel must not take it for one that it still has.
		p.rings.Completion.Release(n)
		p.sending -= uint32(len(sent))
		for _, index := range sent {
			p.cache.Free(index)
		}
	}
	return any
}

// refill lends chunks up to the target.
func (p *Port) refill() {
	want := p.rings.Fill.Reserve(p.fill - p.lent)
	n := uint32(0)
	for ; n < want; n++ {
		index, ok := p.cache.Alloc()
		if !ok {
			p.counts.FillStarved++
			break
		}
		invariant.Check(p.rx.lend(index), "chunk lent twice", uint64(index), 0)
		p.rings.Fill.Set(n, uint64(index)<<p.pool.shift)
	}
	if n > 0 {
		p.rings.Fill.Submit(n)
		p.lent += n
		p.unrung = true
		p.wakeToFill()
	}
}

// wakeToFill wakes the other side if it sleeps and has not been woken for the chunks last
// published.
func (p *Port) wakeToFill() {
	if p.unrung && p.rings.Fill.NeedWakeup() {
		p.unrung = false
		p.bell.KickRx()
	}
}

// Send implements Link.
func (p *Port) Send(src []Frame) int {
	if p.down {
		p.cache.FreeAll(src)
		p.counts.TxDropped += uint64(len(src))
		return len(src)
	}
	room := int(p.rings.Tx.Reserve(p.staged+uint32(len(src))) - p.staged)
	n := min(room, len(src))
	for n > 0 && src[n-1].More() { // end at a packet's end
		n--
	}
	for i, f := range src[:n] {
		invariant.Check(p.tx.lend(f.Index), "chunk sent twice", uint64(f.Index), 0)
		d := ring.Desc{Addr: p.pool.Addr(f), Len: uint32(f.Bytes())}
		if f.More() {
			d.Options = ring.OptionMore
		} else {
			p.counts.TxPackets++
		}
		p.rings.Tx.Set(p.staged+uint32(i), d)
	}
	p.staged += uint32(n)
	p.sending += uint32(n)
	p.counts.TxFrames += uint64(n)
	return n
}

// Flush implements Link. Against the kernel it costs one system call for each 32 descriptors; where
// the kernel cannot take them all, the rest is tried again at the next Flush.
func (p *Port) Flush() {
	published := p.staged > 0
	if published {
		p.rings.Tx.Submit(p.staged)
		p.staged = 0
	}
	if p.sending >= p.reapAt {
		p.reap() // a full completion ring would stop transmission
	}
	if !published && !p.stalled {
		return
	}
	p.stalled = false
	if p.rings.Tx.NeedWakeup() {
		p.kick()
	}
}

// kick has the other side transmit until all is taken, or it takes no more.
func (p *Port) kick() {
	left := p.rings.Tx.Outstanding()
	for range maxKicks {
		p.counts.Kicks++
		switch p.bell.KickTx() {
		case KickDone:
			return
		case KickDown:
			p.down = true
			return
		case KickBlocked:
			p.blocked()
			return
		}
		p.counts.KicksAgain++
		reaped, before := p.reap(), left
		if left = p.rings.Tx.Outstanding(); left == 0 {
			return
		}
		if left == before && !reaped { // "again" without progress is no more than "blocked"
			break
		}
	}
	p.blocked()
}

func (p *Port) blocked() {
	p.counts.KicksBlocked++
	p.stalled = true
}

// Pending implements Link. A port with nothing lent is pending because nothing could wake it: it
// looks for a chunk at each Recv.
func (p *Port) Pending() bool {
	if p.rings.Rx.Any() && !p.rings.Rx.Broken() {
		return true
	}
	return !p.down && (p.staged > 0 || p.stalled || p.lent == 0)
}

// Unread reports whether input waits. Unlike Pending it may be asked by any thread, while another
// uses the port: it looks only at the indices in shared memory.
func (p *Port) Unread() bool { return p.rings.Rx.Unread() }
