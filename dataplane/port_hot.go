package dataplane

import "github.com/dunlin-io/dunlin/core/ring"

// Recv implements Link.
func (p *Port) Recv(dst []Frame) int {
	n := p.rings.Rx.Peek(uint32(len(dst)))
	if n == 0 {
		p.upkeep()
		return 0
	}
	taken, kept, whole := uint32(0), 0, 0
	for i := uint32(0); i < n; i++ {
		d := p.rings.Rx.At(i)
		f, ok := p.pool.FrameAt(d.Addr, d.Len)
		if !ok {
			p.counts.BadDescriptors++
			f = Frame{Index: uint32(p.pool.count)} // nobody's; dropped with its packet below
		}
		more := d.Options&ring.OptionMore != 0
		if more {
			f.Len |= FrameMore
		}
		dst[kept] = f
		kept++
		if more {
			continue
		}
		if p.skip || !p.usable(dst[whole:kept]) {
			p.drop(dst[whole:kept])
			kept, p.skip = whole, false
		} else {
			whole = kept
			p.counts.RxPackets++
		}
		taken = i + 1
	}
	if taken == 0 && n >= MaxSegments { // the packet does not end within what may be one
		if !p.skip {
			p.counts.RxTooLong++
		}
		p.drop(dst[:kept])
		taken, p.skip = n, true
	}
	p.rings.Rx.Release(taken)
	p.lent -= taken
	p.counts.RxFrames += uint64(taken)
	p.upkeep()
	return whole
}

// usable reports whether all frames of a packet lie in the pool.
func (p *Port) usable(packet []Frame) bool {
	for _, f := range packet {
		if f.Index >= p.pool.count {
			return false
		}
	}
	return true
}

func (p *Port) drop(packet []Frame) {
	for _, f := range packet {
		if f.Index < p.pool.count {
			p.cache.Free(f.Index)
		}
	}
}

// upkeep keeps chunks circulating: sent ones back to the pool, free ones to the fill ring.
func (p *Port) upkeep() {
	if p.sending >= reapBatch || p.lent+refillBatch <= p.fill && p.sending > 0 {
		p.reap()
	}
	if p.lent+min(refillBatch, p.fill) <= p.fill {
		p.refill()
	}
}

// reap returns the chunks whose transmission is over to the pool.
func (p *Port) reap() {
	for p.sending > 0 {
		n := p.rings.Completion.Peek(MaxBurst)
		if n == 0 {
			return
		}
		for i := uint32(0); i < n; i++ {
			index := p.rings.Completion.At(i) >> p.pool.shift
			if index >= uint64(p.pool.count) {
				p.counts.BadDescriptors++
				continue
			}
			p.cache.Free(uint32(index))
		}
		p.rings.Completion.Release(n)
		p.sending -= min(n, p.sending)
	}
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
		p.rings.Fill.Set(n, uint64(index)<<p.pool.shift)
	}
	if n == 0 {
		return
	}
	p.rings.Fill.Submit(n)
	p.lent += n
	if p.rings.Fill.NeedWakeup() {
		p.bell.KickRx()
	}
}

// Send implements Link.
func (p *Port) Send(src []Frame) int {
	if p.down {
		return 0
	}
	room := int(p.rings.Tx.Reserve(p.staged+uint32(len(src))) - p.staged)
	n := min(room, len(src))
	for n > 0 && src[n-1].More() { // end at a packet's end
		n--
	}
	for i, f := range src[:n] {
		d := ring.Desc{Addr: p.pool.Addr(f), Len: uint32(f.Bytes())}
		if f.More() {
			d.Options = ring.OptionMore
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
	if p.staged > 0 {
		p.rings.Tx.Submit(p.staged)
		p.staged = 0
	} else if !p.stalled {
		return
	}
	p.stalled = false
	if !p.rings.Tx.NeedWakeup() {
		return
	}
	for i := 0; i < maxKicks; i++ {
		p.counts.Kicks++
		switch p.bell.KickTx() {
		case KickDone:
			return
		case KickAgain:
			p.counts.KicksAgain++
			p.reap() // a full completion ring is a reason to be told "again"
			if p.rings.Tx.Outstanding() == 0 {
				return
			}
		case KickBlocked:
			p.counts.KicksBlocked++
			p.stalled = true
			return
		case KickDown:
			p.down = true
			return
		}
	}
	p.stalled = p.rings.Tx.Outstanding() > 0
}

// Pending implements Link.
func (p *Port) Pending() bool {
	if p.down {
		return false
	}
	return p.staged > 0 || p.stalled || p.rings.Rx.Any() ||
		p.lent == 0 && p.rings.Completion.Any()
}
