package handshake

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"io"

	"github.com/flynn/noise"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
)

// step is what a job does.
type step uint8

const (
	writeInit step = iota
	readInit
	writeReply
	readReply
)

// Job is arithmetic that takes 0.1 to 0.2 ms. It holds all it needs, random bytes included: Run
// may be called on any goroutine, once, and gives the same result wherever that is.
type Job struct {
	step    step
	attempt AttemptID
	self    self
	peer    identity.Key // whom we call; empty in readInit
	trust   *identity.Trust
	seconds int64
	random  [32]byte // our ephemeral key, before a write
	noise   *exchange
	own     payload // to write
	in      []byte  // to read

	// Results.
	reason Reason
	doubt  identity.Reason
	out    []byte
	said   payload // what the peer says
	who    identity.Certificate
	keys   seal.Keys
}

// exchange is the Noise state of one handshake.
type exchange struct {
	state *noise.HandshakeState
	curve *curve
}

// Run does the arithmetic.
func (j *Job) Run() {
	switch j.step {
	case writeInit:
		j.noise = newExchange(&j.self, j.random[:], true, &j.peer)
		j.write()
	case readInit:
		j.noise = newExchange(&j.self, nil, false, nil)
		j.read()
	case writeReply:
		j.noise.curve.random = bytes.NewReader(j.random[:])
		j.write()
	case readReply:
		j.read()
	}
	clear(j.random[:])
}

// Wipe forgets the secrets of a job that nobody hands to Done.
func (j *Job) Wipe() {
	clear(j.random[:])
	j.noise.wipe()
	j.keys.Wipe()
}

func (j *Job) write() {
	out, forth, back, err := j.noise.state.WriteMessage(nil, j.own.encode())
	if err != nil || j.noise.curve.weak { // the peer's key is bad, since ours is not
		j.reason = ReasonWeak
		return
	}
	j.out = out
	if forth != nil {
		j.split(back, forth)
	}
}

// read decrypts a message and looks at the certificate in it.
func (j *Job) read() {
	plain, forth, back, err := j.noise.state.ReadMessage(nil, j.in)
	switch {
	case j.noise.curve.weak:
		j.noise.curve.weak = false
		j.reason = ReasonWeak
		return
	case err != nil:
		j.reason = ReasonNoise
		return
	case !j.said.decode(plain):
		j.reason = ReasonPayload
		return
	}
	copy(j.peer[:], j.noise.state.PeerStatic())
	j.who, j.doubt = j.trust.Check(j.said.certificate, j.seconds)
	if j.doubt == identity.OK && j.who.Key != j.peer {
		j.doubt = identity.ReasonKey
	}
	if j.doubt != identity.OK {
		j.reason = ReasonCertificate
		return
	}
	if forth != nil {
		j.split(forth, back)
	}
}

// split makes the session's secrets. Noise is over after that.
func (j *Job) split(send, recv *noise.CipherState) {
	s, r := send.UnsafeKey(), recv.UnsafeKey()
	hash := j.noise.state.ChannelBinding()
	j.keys = seal.Keys{
		Send:     seal.NewSecret(&s, hash),
		Recv:     seal.NewSecret(&r, hash),
		Insecure: j.self.insecure,
	}
	clear(s[:])
	clear(r[:])
	j.noise.wipe()
}

// newExchange begins a handshake.
func newExchange(s *self, random []byte, initiator bool, peer *identity.Key) *exchange {
	c := &curve{static: s.private, staticBytes: s.private.Bytes(), random: bytes.NewReader(random)}
	config := noise.Config{
		CipherSuite:   noise.NewCipherSuite(c, noise.CipherAESGCM, noise.HashSHA256),
		Random:        c,
		Pattern:       noise.HandshakeIK,
		Initiator:     initiator,
		Prologue:      append([]byte(prologue), flags(s.insecure)),
		StaticKeypair: noise.DHKey{Private: c.staticBytes, Public: s.key[:]},
	}
	if initiator {
		config.PeerStatic = peer[:]
	}
	state, err := noise.NewHandshakeState(config)
	if err != nil {
		panic(err) // only for preshared keys, which we have none of
	}
	return &exchange{state, c}
}

func (e *exchange) wipe() {
	if e != nil {
		clear(e.curve.staticBytes)
		clear(e.curve.ephemeralBytes)
	}
}

// curve is X25519 of the standard library for flynn/noise. It parses each private key once, which
// halves the work, and answers a weak public key with zeros, as Noise allows, and a mark: so a read
// that fails leaves the exchange as it was.
type curve struct {
	static, ephemeral           *ecdh.PrivateKey
	staticBytes, ephemeralBytes []byte
	random                      io.Reader
	weak                        bool
}

var errNoRandom = errors.New("handshake: no random bytes left")

// Read is where flynn/noise finds its randomness, which it passes to GenerateKeypair.
func (c *curve) Read(b []byte) (int, error) { return c.random.Read(b) }

func (c *curve) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	c.ephemeralBytes = make([]byte, c.DHLen())
	if _, err := io.ReadFull(random, c.ephemeralBytes); err != nil {
		return noise.DHKey{}, errNoRandom
	}
	private, err := ecdh.X25519().NewPrivateKey(c.ephemeralBytes)
	if err != nil {
		return noise.DHKey{}, err
	}
	c.ephemeral = private
	return noise.DHKey{Private: c.ephemeralBytes, Public: private.PublicKey().Bytes()}, nil
}

func (c *curve) DH(private, public []byte) ([]byte, error) {
	key := c.static
	if &private[0] != &c.staticBytes[0] {
		key = c.ephemeral
	}
	peer, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	secret, err := key.ECDH(peer)
	if err != nil {
		c.weak = true
		return make([]byte, c.DHLen()), nil
	}
	return secret, nil
}

func (c *curve) DHLen() int     { return 32 }
func (c *curve) DHName() string { return "25519" }
