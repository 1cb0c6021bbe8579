package identity

import (
	"bytes"
	"testing"
)

// FuzzHostKey: what is read as a private key of a host can be written and read again.
func FuzzHostKey(f *testing.F) {
	text, err := EncodeHostKey(hostKey(f, 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := ParseHostKey(text)
		if err != nil {
			return
		}
		again, err := EncodeHostKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := ParseHostKey(again); err != nil || !bytes.Equal(same, key) {
			t.Fatalf("another key: %v", err)
		}
	})
}

// FuzzPublicKey: each public key has one text.
func FuzzPublicKey(f *testing.F) {
	f.Add(FormatPublicKey(public(hostKey(f, 1))))
	f.Add("ed25519:")
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := ParsePublicKey(text); err == nil && FormatPublicKey(key) != text {
			t.Fatalf("%q is read as %q", text, FormatPublicKey(key))
		}
	})
}
