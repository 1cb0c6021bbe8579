package arena

import (
	"fmt"
	"math/bits"
)

// maxValues is how many values of any type a slot can have. With MaxTypeBytes it keeps the bytes of
// a Span, whatever it says, within 64 bits.
const (
	maxValues = MaxCap
	_         = uint64(maxValues) * MaxTypeBytes
)

// checkSize turns a request into units.
func checkSize(n int, each uint64, align int) (units uint64, err error) {
	if align < 1 || align > PageBytes || align&(align-1) != 0 {
		return 0, fmt.Errorf("%w: %d: want a power of two up to %d", ErrAlign, align, PageBytes)
	}
	if n < 1 {
		return 0, fmt.Errorf("%w: %d values", ErrSize, n)
	}
	over, all := bits.Mul64(uint64(n), each)
	if over != 0 || all > MaxCap {
		return 0, fmt.Errorf("%w: %d values of %d bytes: no slot has more than %d", ErrSize, n,
			each, int64(MaxCap))
	}
	return (all + unitBytes - 1) / unitBytes, nil
}
