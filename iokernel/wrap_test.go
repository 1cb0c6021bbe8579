package iokernel

import (
	"fmt"
	"testing"
)

// TestIndicesWrap runs traffic of all kinds over rings whose indices stand shortly before 2^32.
func TestIndicesWrap(t *testing.T) {
	for _, before := range []uint32{1, 63, 64, 300} {
		t.Run(fmt.Sprintf("%d before the end", before), func(t *testing.T) {
			const rounds = 100
			r := newRig(t, 1)
			r.SetInterface(hostMAC, 9000)
			g := r.attach("g", shape{workers: 2, start: -before}, Endpoint{EtherType: typeA})
			other := r.attach("other", shape{start: -before}, Endpoint{EtherType: typeB})
			for i := range rounds {
				var in, out [][]byte
				for k := range 10 {
					in = append(in, rawPacket(hostMAC, peerMAC, typeB, 60+400*k, i))
					out = append(out, rawPacket(peerMAC, hostMAC, typeA, 60+300*k, i))
					r.nics[0].arrive(t, in[k])
					if !g.send(k%2, out[k]) {
						t.Fatal("not handed in")
					}
				}
				itself := rawPacket(hostMAC, hostMAC, typeB, 5000, i)
				other.send(0, itself)
				r.settle()
				same(t, "received", other.recv(0), append(in, itself)...)
				if n := len(r.nics[0].sent); n != len(out) {
					t.Fatalf("round %d: %d packets sent, want %d", i, n, len(out))
				}
				r.nics[0].sent = nil
				g.recv(0)
				g.recv(1)
			}
			for i, g := range r.guests {
				for kind := range ringKinds {
					ring := sharedRing(g, 0, kind)
					if ring.get(producerWord) > 1<<31 && (i == 1 || kind == txRing || kind == completionRing) {
						t.Errorf("guest %d: ring %d did not come around: %d", i, kind, ring.get(producerWord))
					}
				}
			}
			r.noEviction()
			r.audit()
		})
	}
}

// TestViolationsAtTheWrap: a chunk that was not given back is recognised on both sides of 2^32.
func TestViolationsAtTheWrap(t *testing.T) {
	for _, m := range histories() {
		for before := range uint32(8) {
			t.Run(fmt.Sprintf("%s, %d before the end", m.name, before), func(t *testing.T) {
				r := newRig(t, 1)
				v := newVictim(r)
				h := newHostile(r, shape{start: -before}, Endpoint{EtherType: typeA})
				m.do(h, r)
				v.exchange()
				if e, ok := r.NextEviction(); !ok || e.Violation != m.want {
					t.Fatalf("evicted %v, %q, want %q", ok, e.Violation, m.want)
				}
				v.check()
			})
		}
	}
}
