package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// A packet that was built whole arrives as it is, in as many frames as it needs.
func TestSendPacket(t *testing.T) {
	for _, n := range []int{46, 1500, chunkBytes - wire.EthernetBytes, chunkBytes, 8986, 9000} {
		s := newServed(t, dataplane.WorkerConfig{MAC: serverMAC, MTU: 9000}, memlink.Config{})
		packet := raw(t, serverMAC, clientMAC, pattern(n))
		if got := s.worker.SendPacket(packet); got != dataplane.OK {
			t.Fatalf("%d bytes: %v", n, got)
		}
		s.run()
		s.audit(t)
		same(t, "packet", s.receive(), packet)
	}
}

// A packet that was built in a chunk of the pool goes out without a copy; one that was given up
// leaves the chunk free.
func TestSendChunk(t *testing.T) {
	s := newServed(t, dataplane.WorkerConfig{MAC: serverMAC}, memlink.Config{})
	packet := raw(t, serverMAC, clientMAC, pattern(300))
	index, chunk, reason := s.worker.Chunk()
	if reason != dataplane.OK || len(chunk) != chunkBytes {
		t.Fatalf("%v, %d bytes", reason, len(chunk))
	}
	s.worker.SendChunk(index, copy(chunk, packet))
	if index, _, reason = s.worker.Chunk(); reason != dataplane.OK {
		t.Fatal(reason)
	}
	s.worker.DropChunk(index)
	s.worker.Flush() // without a turn
	if s.worker.Held() != 0 {
		t.Errorf("%d frames wait after a flush", s.worker.Held())
	}
	s.run()
	s.audit(t)
	same(t, "chunk", s.receive(), packet)
}

// What cannot be sent is refused as a whole: nothing of it stays behind.
func TestSendPacketIsRefusedWhole(t *testing.T) {
	s := newServed(t, dataplane.WorkerConfig{MAC: serverMAC, MTU: 9000}, memlink.Config{})
	long := make([]byte, s.worker.MaxPacket()+1)
	for _, n := range []int{0, wire.EthernetBytes - 1, len(long)} {
		if got := s.worker.SendPacket(long[:n]); got != dataplane.ReasonReplyTooLong {
			t.Errorf("%d bytes: %v", n, got)
		}
	}
	packet := raw(t, serverMAC, clientMAC, pattern(9000))
	for s.worker.SendPacket(packet) == dataplane.OK {
	}
	if got := s.worker.SendPacket(packet); got != dataplane.ReasonQueueFull {
		t.Errorf("a full queue: %v", got)
	}
	s.run()
	s.audit(t)
	s.receive()

	var kept []uint32
	for s.near.Count()+s.near.Pool().Stored() > 2 { // fewer than the packet needs
		index, _ := s.near.Alloc()
		kept = append(kept, index)
	}
	if got := s.worker.SendPacket(packet); got != dataplane.ReasonNoFrame || s.worker.Held() != 0 {
		t.Errorf("without frames: %v, %d wait", got, s.worker.Held())
	}
	for _, index := range kept {
		s.near.Free(index)
	}
	s.audit(t)
}
