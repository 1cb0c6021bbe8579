package load

import "testing"

func TestPayloadOfEverySize(t *testing.T) {
	for n := minPayload; n < 200; n++ {
		b := make([]byte, n)
		for _, seq := range []uint64{0, 1, 1 << 32, Damaged - 1} {
			putPayload(b, seq)
			if got := checkPayload(b); got != seq {
				t.Fatalf("request %d in %d bytes reads as %d", seq, n, got)
			}
			for i := range b {
				b[i] ^= 0x10
				if got := checkPayload(b); got == seq {
					t.Fatalf("%d bytes: byte %d changed and nobody noticed", n, i)
				}
				b[i] ^= 0x10
			}
		}
	}
}

func TestPayloadTooShort(t *testing.T) {
	if got := checkPayload(make([]byte, minPayload-1)); got != Damaged {
		t.Errorf("7 bytes read as request %d", got)
	}
}

// The halves of two requests put together are neither.
func TestPayloadOfTwoRequests(t *testing.T) {
	a, b := make([]byte, 1386), make([]byte, 1386)
	putPayload(a, 1000)
	putPayload(b, 1001)
	copy(a[700:], b[700:])
	if got := checkPayload(a); got != Damaged {
		t.Errorf("two halves read as request %d", got)
	}
}

// What a generator adds to each request by its own work: for comparison with the round trip.
func BenchmarkPayload(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"64", 50}, {"1400", 1386}} {
		b.Run(size.name, func(b *testing.B) {
			buffer := make([]byte, size.bytes)
			for i := range b.N {
				putPayload(buffer, uint64(i))
				if checkPayload(buffer) != uint64(i) {
					b.Fatal("wrong")
				}
			}
		})
	}
}
