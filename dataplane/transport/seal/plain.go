package seal

import "errors"

// plain is the cipher of Insecure keys: a frame keeps its bytes and gets a tag of zeros, so that it
// is as long as a sealed one. It protects nothing.
type plain struct{}

var errTag = errors.New("seal: the tag of an insecure frame is not zero")

func (plain) NonceSize() int { return nonceBytes }
func (plain) Overhead() int  { return TagBytes }

// Seal is for bodies in place: dst is body[:0].
func (plain) Seal(_, _, body, _ []byte) []byte {
	sealed := body[:len(body)+TagBytes]
	clear(sealed[len(body):])
	return sealed
}

// Open finds a frame that was sealed with a key, by its tag. It finds nothing else.
func (plain) Open(_, _, sealed, _ []byte) ([]byte, error) {
	end := len(sealed) - TagBytes
	if [TagBytes]byte(sealed[end:]) != [TagBytes]byte{} {
		return nil, errTag
	}
	return sealed[:end], nil
}
