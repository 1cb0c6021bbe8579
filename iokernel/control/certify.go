package control

import (
	"context"
	"fmt"
	"os"
)

// KeyBytes is the size of an X25519 public key.
const KeyBytes = 32

// Certify asks an attached runtime's iokernel to sign the public key that the runtime has made, for
// the name under which it is attached. Asking again renews the certificate.
type Certify struct {
	Key []byte `json:"key"` // KeyBytes
}

// Certified answers Certify. FileCluster comes beside it.
type Certified struct {
	Certificate  []byte `json:"certificate"`
	ClusterBytes int    `json:"cluster_bytes"` // of the cluster file, at the start of FileCluster
}

// FileCluster is the name of the memory that comes with a Certified, for reading.
const FileCluster = "cluster"

// Certifier is a Handler that signs. The file stays the handler's; it is open until Detach.
type Certifier interface {
	Certify(ctx context.Context, s *Session, key []byte) (Certified, *os.File, error)
}

// certify answers a Certify.
func (s *Session) certify(ctx context.Context, h Handler, m *Certify, attached bool) (
	packet, error,
) {
	signer, ok := h.(Certifier)
	switch {
	case !attached:
		return packet{}, Refuse(CodeOrder, "attach first")
	case len(m.Key) != KeyBytes:
		return packet{}, Refuse(CodeMalformed, "a public key has %d bytes, not %d", KeyBytes,
			len(m.Key))
	case !ok:
		return packet{}, Refuse(CodeDenied, "this iokernel signs no certificates")
	}
	r, file, err := signer.Certify(ctx, s, m.Key)
	if err != nil {
		return packet{}, err
	}
	return pack(&r, file)
}

// Certify asks for a certificate for an attached client's public key. The file, FileCluster, is the
// caller's.
func (c *Client) Certify(key []byte) (Certified, *os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.call(&Certify{Key: key})
	if err != nil {
		return Certified{}, nil, err
	}
	m, ok := r.message.(*Certified)
	if !ok {
		return Certified{}, nil, unexpected(r)
	}
	if len(r.files) != 1 {
		closeAll(r.files)
		return Certified{}, nil, fmt.Errorf("control: %d files came with a certificate, not 1; is "+
			"this process at its limit of open files?", len(r.files))
	}
	return *m, r.files[0], nil
}
