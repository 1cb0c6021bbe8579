package containers

import (
	"math/bits"
	"unsafe"
)

// The hash multiplies 64 bits by 64 and folds the product, as wyhash by Wang Yi does (2019, public
// domain). The seed is the arena's: so equal seeds give equal tables, and who does not know it
// cannot choose keys that collide.
const (
	hashA = 0x9E37_79B9_7F4A_7C15 // 2^64 over the golden ratio: odd, no short pattern
	hashB = 0xD6E8_FEB8_6659_FD93 // a prime
)

func fold(x, y uint64) uint64 {
	high, low := bits.Mul64(x, y)
	return high ^ low
}

// hashKey hashes the bytes of a key. Keys are made of integers without gaps: see checkKey.
func hashKey[K comparable](seed uint64, key *K) uint64 {
	p := unsafe.Pointer(key)
	switch size := unsafe.Sizeof(*key); size {
	case 8:
		return fold(*(*uint64)(p)^seed, hashA)
	case 4:
		return fold(uint64(*(*uint32)(p))^seed, hashA)
	default:
		return hashBytes(seed, unsafe.Slice((*byte)(p), size))
	}
}

// hashBytes hashes any bytes.
func hashBytes(seed uint64, b []byte) uint64 {
	h := seed ^ uint64(len(b))*hashB
	for ; len(b) > 8; b = b[8:] {
		h = fold(h^word(b, 8), hashA)
	}
	return fold(fold(h^word(b, len(b)), hashA)^hashB, hashA)
}

// word is the first n bytes, at most 8, as a number.
func word(b []byte, n int) (w uint64) {
	if n == 8 {
		return *(*uint64)(unsafe.Pointer(unsafe.SliceData(b)))
	}
	for i := range n {
		w |= uint64(b[i]) << (8 * i)
	}
	return w
}

// hashString hashes a string of Go.
func hashString(seed uint64, s string) uint64 {
	return hashBytes(seed, unsafe.Slice(unsafe.StringData(s), len(s)))
}
