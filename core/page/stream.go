package page

import "fmt"

// Check reports how many pages a stream has, and an error unless Apply would accept it for a memory
// of that many pages. Every stream that Append made is accepted.
func Check(stream []byte, pages uint64) (n int, err error) {
	above := uint64(0) // the least index that may come
	for len(stream) > 0 {
		r, rest, ok := next(stream)
		if !ok {
			return n, fmt.Errorf("record %d of a stream is cut off: %w", n, ErrLength)
		}
		switch {
		case r.index < above:
			err = ErrOrder
		case r.index >= pages:
			err = ErrIndex
		default:
			err = check(r.kind, r.data)
		}
		if err != nil {
			return n, fmt.Errorf("record %d of a stream, page %d, %d bytes: %w",
				n, r.index, len(r.data), err)
		}
		above = r.index + 1
		stream = rest
		n++
	}
	return n, nil
}

// Apply decodes a stream onto memory, whose first page has index 0, and returns how many pages it
// changed. On an error it has changed nothing: the whole stream is checked first.
func Apply(memory, stream []byte) (n int, err error) {
	if len(memory)%Bytes != 0 {
		return 0, fmt.Errorf("%d bytes: %w", len(memory), ErrMemory)
	}
	if _, err := Check(stream, uint64(len(memory)/Bytes)); err != nil {
		return 0, err
	}
	return applyAll(memory, stream), nil
}
