package dataplane

import "github.com/dunlin-io/dunlin/dataplane/wire"

// MaxSend is the longest payload of a SendUDP over that IP version.
func (w *Worker) MaxSend(v6 bool) int {
	if v6 {
		return w.longest - wire.UDP6Bytes
	}
	return w.longest - wire.UDP4Bytes
}

// SendUDP queues a datagram with a copy of payload for the end of this turn, or for the next one
// when called between turns. The caller names both ends and the neighbour's Ethernet address.
// Anything but OK says why it was not accepted: ReasonQueueFull and ReasonNoFrame pass with time.
func (w *Worker) SendUDP(f *wire.UDPFlow, payload []byte) Reason {
	switch {
	case f.Src.V6 != f.Dst.V6 || f.Src.V6 == f.Src.Is4() || f.Dst.V6 == f.Dst.Is4() ||
		f.DstMAC.IsMulticast() || f.SrcMAC.IsMulticast():
		return w.refuse(ReasonBadFlow)
	case len(payload) > w.MaxSend(f.Dst.V6):
		return w.refuse(ReasonReplyTooLong)
	}
	index, reason := w.slot()
	if reason != OK {
		return w.refuse(reason)
	}
	b := w.pool.Chunk(index)
	p := wire.PutUDP(b, f, len(payload))
	copy(b[p.Payload:p.Len()], payload)
	wire.UpdateUDPChecksum(b[:p.Len()], p)
	w.submit(Frame{Index: index, Len: uint16(p.Len())})
	return OK
}

// SendRaw queues a packet of an EtherType with a copy of payload, by the rules of SendUDP. Its
// source is the MAC of the worker's configuration.
func (w *Worker) SendRaw(dst wire.MAC, t wire.EtherType, payload []byte) Reason {
	switch {
	case w.mac == wire.MAC{} || t < minEtherType:
		return w.refuse(ReasonBadFlow)
	case len(payload) > w.longest-wire.EthernetBytes:
		return w.refuse(ReasonReplyTooLong)
	}
	index, reason := w.slot()
	if reason != OK {
		return w.refuse(reason)
	}
	b := w.pool.Chunk(index)
	wire.PutEthernet(b, dst, w.mac, t)
	n := wire.EthernetBytes + copy(b[wire.EthernetBytes:], payload)
	w.submit(Frame{Index: index, Len: uint16(n)})
	return OK
}

// MaxPacket is the longest packet of SendPacket, from its Ethernet header on.
func (w *Worker) MaxPacket() int { return w.largest }

// Chunk takes a frame to build a packet in, from its Ethernet header on: SendChunk or DropChunk it
// before the turn ends. It saves the copy that SendRaw makes. The caller answers for the headers.
func (w *Worker) Chunk() (index uint32, b []byte, reason Reason) {
	if index, reason = w.slot(); reason != OK {
		return 0, nil, w.refuse(reason)
	}
	return index, w.pool.Chunk(index), OK
}

// SendChunk queues the first n bytes of a chunk, which holds them and at least an Ethernet header.
func (w *Worker) SendChunk(index uint32, n int) {
	w.submit(Frame{Index: index, Len: uint16(n)})
}

// DropChunk gives a chunk back in which nothing was built.
func (w *Worker) DropChunk(index uint32) { w.cache.Free(index) }

// SendPacket queues a copy of a packet of any length up to MaxPacket, from its Ethernet header on,
// in as many frames as it needs. The caller answers for the headers.
func (w *Worker) SendPacket(packet []byte) Reason {
	if len(packet) > w.largest || len(packet) < wire.EthernetBytes {
		return w.refuse(ReasonReplyTooLong)
	}
	size := w.pool.ChunkBytes()
	count := (len(packet) + size - 1) / size
	if w.sends+count > maxSends {
		return w.refuse(ReasonQueueFull)
	}
	first := w.queued
	for len(packet) > 0 {
		index, ok := w.cache.Alloc()
		if !ok {
			w.cache.FreeAll(w.out[first:w.queued])
			w.queued = first
			return w.refuse(ReasonNoFrame)
		}
		f := Frame{Index: index, Len: uint16(copy(w.pool.Chunk(index), packet))}
		if packet = packet[f.Len:]; len(packet) > 0 {
			f.Len |= FrameMore
		}
		w.queue(f)
	}
	w.sends += count
	w.counts.Sends++
	return OK
}

// Flush gives the link what waits to be sent and publishes it, for a poller that shares the thread
// and has sent something: at the next turn it would go out only after what that receives.
func (w *Worker) Flush() {
	if w.queued > 0 {
		w.send()
	}
	w.link.Flush()
}

// slot takes a frame and makes sure that the queue has a place for it.
func (w *Worker) slot() (index uint32, reason Reason) {
	if w.sends == maxSends {
		return 0, ReasonQueueFull
	}
	index, ok := w.cache.Alloc()
	if !ok {
		return 0, ReasonNoFrame
	}
	return index, OK
}

func (w *Worker) submit(f Frame) {
	w.sends++
	w.counts.Sends++
	w.queue(f)
}

func (w *Worker) refuse(reason Reason) Reason {
	w.counts.Refused++
	return reason
}
