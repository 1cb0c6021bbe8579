package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

const (
	// HostKeyMode are the permission bits of a file with a private key: its owner reads it.
	HostKeyMode fs.FileMode = 0o400
	// MaxHostKeyBytes bounds such a file, in bytes. (guess: ten times an Ed25519 key in PEM)
	MaxHostKeyBytes = 2048

	pemType   = "PRIVATE KEY" // PKCS #8, RFC 5958
	keyPrefix = "ed25519:"
)

// NewHostKey makes a host's private key out of 32 random bytes.
func NewHostKey(random io.Reader) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("identity: random bytes for a host key: %w", err)
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed), nil
}

// EncodeHostKey is the content of a private key's file: PKCS #8 in PEM, as openssl has it.
func EncodeHostKey(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// CheckHostKeyMode refuses a private key's file that is no plain file, or that anybody but its
// owner may open or change.
func CheckHostKeyMode(mode fs.FileMode) error {
	switch {
	case !mode.IsRegular():
		return errors.New("not a plain file")
	case mode.Perm()&0o077 != 0:
		return fmt.Errorf("its mode is %04o, so others may open it; chmod %04o it, and make a new "+
			"key if somebody may have read this one", mode.Perm(), HostKeyMode)
	}
	return nil
}

// ReadHostKey reads a private key from its file, which must be open to its owner alone. Closing it
// is the caller's.
func ReadHostKey(f fs.File) (ed25519.PrivateKey, error) {
	info, err := f.Stat() // of what is open, not of what the name is by now
	if err != nil {
		return nil, err
	}
	if err := CheckHostKeyMode(info.Mode()); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxHostKeyBytes+1))
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return ParseHostKey(text)
}

// ParseHostKey reads the content of a private key's file.
func ParseHostKey(text []byte) (ed25519.PrivateKey, error) {
	if len(text) > MaxHostKeyBytes {
		return nil, fmt.Errorf("%d bytes; a host key has at most %d", len(text), MaxHostKeyBytes)
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil || block.Type != pemType:
		return nil, fmt.Errorf("no PEM block of type %q; dunlin cluster key makes such a file",
			pemType)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("something follows the key")
	}
	defer clear(block.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the PEM block holds no private key in PKCS #8")
	}
	host, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("a private key, but not of Ed25519")
	}
	return host, nil
}

// FormatPublicKey writes a host's public key as the cluster file has it: ed25519: and base64.
func FormatPublicKey(key ed25519.PublicKey) string {
	return keyPrefix + base64.StdEncoding.EncodeToString(key)
}

// ParsePublicKey reads what FormatPublicKey writes.
func ParsePublicKey(text string) (ed25519.PublicKey, error) {
	encoded, ok := strings.CutPrefix(text, keyPrefix)
	if !ok {
		return nil, fmt.Errorf("want %s and 44 characters of base64, as dunlin cluster key prints",
			keyPrefix)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) != ed25519.PublicKeySize || FormatPublicKey(key) != text {
		return nil, fmt.Errorf("want %d bytes in base64 behind %s", ed25519.PublicKeySize,
			keyPrefix)
	}
	return key, nil
}
