package page

import (
	"encoding/binary"
	"math/bits"
)

// Decode makes page, which is as the encoder's shadow was, what the encoder's page was. On an error
// it has not changed.
func Decode(page *Page, kind Kind, data []byte) error {
	if err := check(kind, data); err != nil {
		return err
	}
	apply(page, kind, data)
	return nil
}

// check says whether data is an encoding of that kind.
func check(kind Kind, data []byte) error {
	switch kind {
	case Zero:
		if len(data) != 0 {
			return ErrLength
		}
	case Raw:
		if len(data) != Bytes {
			return ErrLength
		}
	case Words:
		return checkWords(data)
	default:
		return ErrKind
	}
	return nil
}

func checkWords(data []byte) error {
	if len(data) < wordBytes || len(data) >= Bytes {
		return ErrLength
	}
	count := bits.OnesCount64(binary.LittleEndian.Uint64(data))
	data = data[wordBytes:]
	if count == 0 {
		return ErrEmpty
	}
	if count > len(data) {
		return ErrLength
	}
	words := 0
	for _, mask := range data[:count] {
		if mask == 0 {
			return ErrEmpty
		}
		words += bits.OnesCount8(mask)
	}
	if len(data)-count != words*wordBytes {
		return ErrLength
	}
	return nil
}

// apply writes what check has accepted.
func apply(page *Page, kind Kind, data []byte) {
	switch kind {
	case Zero:
		clear(page[:])
	case Raw:
		copy(page[:], data)
	case Words:
		left := binary.LittleEndian.Uint64(data)
		data = data[wordBytes:]
		count := bits.OnesCount64(left)
		masks := data[:count]
		data = data[count:]
		for _, mask := range masks {
			line := (*[lineBytes]byte)(page[bits.TrailingZeros64(left)&(lines-1)*lineBytes:])
			left &= left - 1
			if mask == 0xFF {
				copy(line[:], data[:lineBytes])
				data = data[lineBytes:]
				continue
			}
			for ; mask != 0; mask &= mask - 1 {
				at := bits.TrailingZeros8(mask) & 7 * wordBytes
				copy(line[at:at+wordBytes], data[:wordBytes])
				data = data[wordBytes:]
			}
		}
	}
}
