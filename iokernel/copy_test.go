package iokernel

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// cuts returns lengths of at most limit that cut n bytes into at most MaxSegments pieces, the first
// of at least first.
func cuts(rng *rand.Rand, n, first, limit int) []int {
	var list []int
	for n > 0 {
		least := max(1, n-limit*(dataplane.MaxSegments-len(list)-1)) // what the rest cannot hold
		if len(list) == 0 {
			least = max(least, min(first, n))
		}
		k := min(n, least+rng.Intn(limit-min(least, limit)+1))
		list = append(list, k)
		n -= k
	}
	return list
}

// sizes are packet lengths at the edges of chunks of 2,048 and 4,096 bytes.
func sizes(longest int) []int {
	var list []int
	for _, n := range []int{
		14, 60, 1514, 2047, 2048, 2049, 4095, 4096, 4097, 6144, 8192, 9014, 12_288,
		18 * 2048, 65_000,
	} {
		if n <= longest {
			list = append(list, n)
		}
	}
	return list
}

// TestCopiesBetweenChunkSizes sends packets of many lengths, cut up in many ways, through all pairs
// of chunk sizes in both directions.
func TestCopiesBetweenChunkSizes(t *testing.T) {
	for _, nicBytes := range []int{2048, 4096} {
		for _, guestBytes := range []int{2048, 4096} {
			t.Run(fmt.Sprintf("nic %d guest %d", nicBytes, guestBytes), func(t *testing.T) {
				rng := rand.New(rand.NewSource(int64(nicBytes + guestBytes)))
				r := newRigOf(t, 1, 512, nicBytes)
				r.SetInterface(hostMAC, 65_535)
				g := r.attach("g", shape{chunkBytes: guestBytes}, Endpoint{EtherType: typeA})
				receiveSizes(t, r, g, rng, nicBytes, guestBytes)
				sendSizes(t, r, g, rng, nicBytes, guestBytes)
				r.noEviction()
				r.audit()
			})
		}
	}
}

func receiveSizes(t *testing.T, r *rig, g *guest, rng *rand.Rand, nicBytes, guestBytes int) {
	for i, n := range sizes(dataplane.MaxSegments * min(nicBytes, guestBytes)) {
		packet := rawPacket(hostMAC, peerMAC, typeA, n, i)
		for range 5 {
			r.nics[0].arrive(t, packet, cuts(rng, n, wire.EthernetBytes, nicBytes)...)
			r.settle()
			got := g.take(0)
			if len(got) != 1 {
				t.Fatalf("%d bytes: %d packets received", n, len(got))
			}
			same(t, "received", [][]byte{gather(g.pool, got[0])}, packet)
			if want := (n + guestBytes - 1) / guestBytes; len(got[0]) != want {
				t.Errorf("%d bytes lie in %d chunks of %d, want %d", n, len(got[0]), guestBytes, want)
			}
			g.caches[0].FreeAll(got[0])
		}
	}
}

func sendSizes(t *testing.T, r *rig, g *guest, rng *rand.Rand, nicBytes, guestBytes int) {
	n := r.nics[0]
	n.lazy = true
	for i, size := range sizes(dataplane.MaxSegments * min(nicBytes, guestBytes)) {
		packet := rawPacket(peerMAC, hostMAC, typeA, size, i)
		for range 5 {
			if !g.send(0, packet, cuts(rng, size, 1, guestBytes)...) {
				t.Fatalf("%d bytes: not sent", size)
			}
			r.settle()
			g.ports[0].Flush()
			same(t, "sent", n.sent, packet)
			if want := (size + nicBytes - 1) / nicBytes; len(n.held) != want {
				t.Errorf("%d bytes lie in %d chunks of %d, want %d", size, len(n.held), nicBytes, want)
			}
			n.finish()
			n.sent = nil
			if got := g.recv(0); len(got) != 0 {
				t.Fatalf("%d packets came back", len(got))
			}
		}
	}
	n.lazy = false
}

// TestSendFromTheMiddleOfChunks: descriptors need not begin where their chunk does.
func TestSendFromTheMiddleOfChunks(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
	packet := rawPacket(peerMAC, hostMAC, typeA, 1000, 7)
	for _, off := range []int{1, 64, 333, 1048} {
		index, _ := g.caches[0].Alloc()
		copy(g.pool.Chunk(index)[off:], packet)
		g.ports[0].Send([]dataplane.Frame{{Index: index, Off: uint16(off), Len: 1000}})
		g.ports[0].Flush()
		r.settle()
		same(t, "sent", r.nics[0].sent, packet)
		r.nics[0].sent = nil
	}
	if got := g.recv(0); len(got) != 0 {
		t.Fatalf("%d packets came back", len(got))
	}
	r.noEviction()
	r.audit()
}

// TestHeadersAcrossSegments: a worker may cut a packet inside its headers; the copy that is checked
// and sent has them in one piece.
func TestHeadersAcrossSegments(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{}, Endpoint{Port: 7000})
	packet := udpPacket(peerMAC, hostMAC, at(peerAddr6, 1), at(hostAddr6, 7000), 500, 3)
	g.send(0, packet, 1, 13, 3, 17, 20, 5)
	r.settle()
	same(t, "sent", r.nics[0].sent, packet)
	r.noEviction()
}
