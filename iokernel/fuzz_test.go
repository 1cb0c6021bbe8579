package iokernel

import (
	"math/rand"
	"testing"

	"github.com/dunlin-io/dunlin/core/ring"
)

// vandal does random things to the memory that it shares with the Dataplane: valid ones, nearly
// valid ones, and noise.
type vandal struct {
	*hostile
	rng  *rand.Rand
	next int
}

// chunk is the one not used for longest, sometimes any.
func (v *vandal) chunk() int {
	if v.rng.Intn(200) == 0 {
		return v.rng.Intn(v.layout.Chunks)
	}
	v.next++
	return v.next % v.layout.Chunks
}

// act does one thing. Its odds are such that a runtime lives for some time, or it would never come
// far.
func (v *vandal) act() {
	rng := v.rng
	switch odds := rng.Intn(1000); {
	case odds < 300:
		v.reap()
		v.takeRx()
	case odds < 500:
		if f := v.ring(fillRing); f.get(producerWord)-f.get(consumerWord) < 40 {
			for range rng.Intn(4) {
				n := v.chunk()
				v.fill(n, n+1)
			}
		}
	case odds < 800:
		d := v.packet(v.chunk(), 60+rng.Intn(1900))
		if rng.Intn(3) == 0 { // to itself or to the neighbour
			copy(v.mem[v.layout.Frames+d.Addr:], hostMAC[:])
		}
		if rng.Intn(4) == 0 {
			d.Options = ring.OptionMore
		}
		if tx := v.ring(txRing); tx.get(producerWord)-tx.get(consumerWord) < v.layout.RingEntries {
			v.tx(d)
		}
	case odds < 990:
		v.mem[int(v.layout.Frames)+rng.Intn(len(v.mem)-int(v.layout.Frames))] ^= byte(rng.Intn(256))
	default:
		v.damage()
	}
}

// damage writes what no honest runtime writes.
func (v *vandal) damage() {
	rng := v.rng
	s := v.ring(rng.Intn(ringKinds))
	word := []int{producerWord, consumerWord, flagsWord}[rng.Intn(3)]
	switch rng.Intn(8) {
	case 0:
		s.set(word, rng.Uint32())
	case 1:
		s.set(word, s.get(word)+uint32(rng.Intn(5))-2)
	case 2:
		s.set(word, s.get(word)+v.layout.RingEntries+uint32(rng.Intn(3))-1)
	case 3: // a whole ring of noise
		rng.Read(s)
	case 4: // its entries only
		rng.Read(s[entriesWord:])
	case 5: // noise over everything
		rng.Read(v.mem[:v.layout.Frames])
	case 6:
		v.tx(ring.Desc{
			Addr: rng.Uint64() >> rng.Intn(64), Len: rng.Uint32() >> rng.Intn(32),
			Options: rng.Uint32() >> rng.Intn(32),
		})
	case 7: // a packet that may be too long
		for range rng.Intn(40) {
			v.tx(ring.Desc{Addr: v.addr(v.chunk()), Len: 9, Options: ring.OptionMore})
		}
	}
}

// TestVandals has several runtimes do random things for many rounds, attaching again after each
// eviction, beside one that keeps to the rules and must not notice.
func TestVandals(t *testing.T) {
	const vandals, rounds, acts = 3, 6000, 12
	rng := rand.New(rand.NewSource(1))
	r := newRig(t, 1)
	r.SetInterface(hostMAC, 9000)
	victim := newVictim(r)
	attach := func(i int) *vandal {
		h := newHostile(r, shape{start: rng.Uint32()}, Endpoint{EtherType: fairType(i)}, Endpoint{Port: uint16(i + 1)})
		r.guests = r.guests[:1]
		return &vandal{hostile: h, rng: rng}
	}
	var all [vandals]*vandal
	for i := range all {
		all[i] = attach(i)
	}
	evictions := [ViolationCount]int{}
	for round := range rounds {
		for range acts {
			all[rng.Intn(vandals)].act()
		}
		for range rng.Intn(12) {
			i := rng.Intn(vandals)
			r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, fairType(i), 60+rng.Intn(5000), round))
		}
		r.Arm(round%2 == 0)
		r.Pending()
		r.Next(0)
		r.Poll(0)
		victim.exchange()
		for e, ok := r.NextEviction(); ok; e, ok = r.NextEviction() {
			evictions[e.Violation]++
			for i, v := range all {
				if v.rt == e.Runtime {
					r.Detach(v.rt)
					all[i] = attach(i)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	victim.check()
	t.Logf("evictions by violation: %v", evictions)
	for v, n := range evictions {
		if Violation(v) != ViolationNone && n == 0 {
			t.Errorf("no runtime %s", Violation(v))
		}
	}
}

// FuzzSharedMemory: any bytes in a runtime's rings, between any polls, are survived.
func FuzzSharedMemory(f *testing.F) {
	f.Add(int64(1), []byte{1, 2, 3, 4})
	f.Add(int64(7), []byte("\x00\x00\x00\x01\xff\xff\xff\xff\x80\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, seed int64, noise []byte) {
		rng := rand.New(rand.NewSource(seed))
		r := newRig(t, 1)
		victim := newVictim(r)
		v := &vandal{hostile: newHostile(r, shape{}, Endpoint{EtherType: typeA}), rng: rng}
		for len(noise) > 0 {
			s := v.ring(rng.Intn(ringKinds))
			n := min(len(noise), 1+rng.Intn(8))
			at := entriesWord + rng.Intn(len(s)-entriesWord)
			if rng.Intn(2) == 0 {
				at = []int{producerWord, consumerWord, flagsWord}[rng.Intn(3)]
			}
			copy(s[at:], noise[:n])
			noise = noise[n:]
			v.act()
			r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60+rng.Intn(1400), 1))
			victim.exchange()
		}
		victim.check()
	})
}
