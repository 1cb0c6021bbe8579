package seal

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// FuzzOpen feeds a receiver what the fuzzer makes of true frames: only true ones are opened, each
// once, and nothing else changes anything.
func FuzzOpen(f *testing.F) {
	s, _ := pair()
	one := sealed(f, s, "one")
	f.Add(one.phase, one.counter, one.body, one.aad, int64(0))
	f.Add(uint8(1), uint64(1)<<63, one.body, one.aad, int64(1))
	f.Add(uint8(255), one.counter, one.body[:15], []byte{}, int64(OldFor))
	f.Add(uint8(1), uint64(1), []byte{}, one.aad, int64(0))
	f.Fuzz(func(t *testing.T, phase uint8, counter uint64, body, aad []byte, now int64) {
		s, r := pair()
		one, two := sealed(t, s, "one"), sealed(t, s, "two")
		two.mustOpen(t, r, 0, "two")
		f := frame{phase, counter, aad, body}
		before := *r
		_, reason := f.open(r, core.Time(max(now, 0)))
		isOne := phase == one.phase && counter == one.counter && string(body) == string(one.body) &&
			string(aad) == string(one.aad)
		if isOne != (reason == OK) {
			t.Fatalf("%+v: %v", f, reason)
		}
		if reason != OK {
			before.nonce = r.nonce
			if before != *r {
				t.Fatalf("refused (%v), and changed the receiver", reason)
			}
			one.mustOpen(t, r, 0, "one")
		}
	})
}
