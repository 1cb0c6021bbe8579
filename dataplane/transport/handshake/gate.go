package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

const (
	labelMAC1   = "dunlin handshake mac1\x00"
	labelCookie = "dunlin handshake cookie\x00"

	// perSecond is how many messages 1 are looked at without a cookie, and of one proved address.
	perSecond = 20
	// cookiesPerSecond bounds what answering a flood costs: 2 % of a core. (measured: 5.4 us each)
	cookiesPerSecond = 4_000
	// cookieLife is how long a secret makes cookies, in ns. Origin: WireGuard.
	cookieLife = 120 * core.Second
	// proved is how many addresses with a cookie are told apart. Two on one place cost each other
	// their history, not their turn. (guess)
	proved = 256
)

// gate is what stands before any arithmetic. It allocates nothing before a MAC fits.
type gate struct {
	mac       hash.Hash // mac1 of messages to us
	cookieKey [32]byte  // that cookies are sealed under, from our public key
	cookies   hash.Hash // cookie of an address, under a secret
	made      core.Time // when that secret was drawn
	sum       [sha256.Size]byte

	load    bucket // messages 1 without a cookie
	answers bucket // cookies
	byAddr  [proved]struct {
		who uint64
		bucket
	}
}

func labeled(label string, key *identity.Key) [32]byte {
	return sha256.Sum256(append([]byte(label), key[:]...))
}

func (g *gate) init(own *identity.Key, secret [32]byte) {
	key := labeled(labelMAC1, own)
	g.mac = hmac.New(sha256.New, key[:])
	g.cookieKey = labeled(labelCookie, own)
	g.cookies = hmac.New(sha256.New, secret[:])
	g.load = bucket{tokens: perSecond}
	g.answers = bucket{tokens: cookiesPerSecond}
}

// mac1 reports whether message ends in its mac1 and a mac2.
func (g *gate) mac1(message []byte) bool {
	end := len(message) - 2*macBytes
	g.mac.Reset()
	g.mac.Write(message[:end])
	sum := g.mac.Sum(g.sum[:0])
	return subtle.ConstantTimeCompare(sum[:macBytes], message[end:end+macBytes]) == 1
}

// addMACs appends mac1 for the receiver with that key and mac2 for a cookie; no cookie is zeros.
func addMACs(message []byte, to *identity.Key, cookie *[macBytes]byte) []byte {
	key := labeled(labelMAC1, to)
	h := hmac.New(sha256.New, key[:])
	h.Write(message)
	message = append(message, h.Sum(nil)[:macBytes]...)
	return appendMAC2(message, cookie)
}

func appendMAC2(message []byte, cookie *[macBytes]byte) []byte {
	if *cookie == [macBytes]byte{} {
		return append(message, cookie[:]...)
	}
	h := hmac.New(sha256.New, cookie[:])
	h.Write(message)
	return append(message, h.Sum(nil)[:macBytes]...)
}

// cookie is what an address must show to prove that it gets what is sent to it.
func (m *Machine) cookie(now core.Time, from *Addr) (c [macBytes]byte) {
	g := &m.gate
	if now-g.made >= cookieLife {
		secret := m.draw32()
		g.cookies, g.made = hmac.New(sha256.New, secret[:]), now
	}
	g.cookies.Reset()
	if f := &from.Flow; from.UDP {
		var port [3]byte
		binary.BigEndian.PutUint16(port[1:], f.Dst.Port)
		if f.Dst.V6 {
			port[0] = 1
		}
		g.cookies.Write(f.Dst.Addr[:])
		g.cookies.Write(port[:])
	} else {
		g.cookies.Write(f.DstMAC[:])
	}
	copy(c[:], g.cookies.Sum(g.sum[:0]))
	return c
}

// admit decides whether a message 1 whose mac1 fits is worth arithmetic.
func (m *Machine) admit(now core.Time, from *Addr, message []byte) Reason {
	g := &m.gate
	if g.load.take(now, perSecond) {
		return OK
	}
	cookie := m.cookie(now, from)
	end := len(message) - macBytes
	want := appendMAC2(message[:end:end], &cookie)
	if subtle.ConstantTimeCompare(want[end:], message[end:]) == 1 {
		who := binary.BigEndian.Uint64(cookie[8:])
		at := &g.byAddr[binary.BigEndian.Uint64(cookie[:8])%proved]
		if at.who != who {
			at.who, at.bucket = who, bucket{tokens: perSecond, at: now}
		}
		if !at.take(now, perSecond) {
			return ReasonRate
		}
		return OK
	}
	if !g.answers.take(now, cookiesPerSecond) || len(m.messages) >= maxMessages {
		return ReasonDropped
	}
	m.send(*from, m.sealCookie(message, &cookie))
	return ReasonCookieAsked
}

// sealCookie makes the answer to a message 1 that carries its cookie. Only who has seen that
// message's mac1 can open it.
func (m *Machine) sealCookie(message []byte, cookie *[macBytes]byte) []byte {
	number := binary.BigEndian.Uint32(message[atNumber:])
	b := begin(make([]byte, 0, CookieBytes), kindCookie, m.self.insecure, number)
	b = b[:headBytes+nonceBytes]
	m.draw(b[headBytes:])
	a := cookieAEAD(&m.gate.cookieKey, b[headBytes:])
	end := len(message) - 2*macBytes
	return a.Seal(b, make([]byte, a.NonceSize()), cookie[:], message[end:end+macBytes])
}

// openCookie is the other side of sealCookie; it writes the cookie.
func openCookie(message []byte, from *identity.Key, mac1, cookie *[macBytes]byte) bool {
	key := labeled(labelCookie, from)
	a := cookieAEAD(&key, message[headBytes:headBytes+nonceBytes])
	plain, err := a.Open(nil, make([]byte, a.NonceSize()), message[headBytes+nonceBytes:], mac1[:])
	if err != nil {
		return false
	}
	copy(cookie[:], plain)
	return true
}

// cookieAEAD makes a cipher for one message: a random nonce of 24 bytes picks its key, because
// AES-GCM's own are too short to draw.
func cookieAEAD(key *[32]byte, nonce []byte) cipher.AEAD {
	h := hmac.New(sha256.New, key[:])
	h.Write(nonce)
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		panic(err) // only for other sizes
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only in GODEBUG=fips140=only
	}
	return a
}

// bucket is a token bucket that holds a second's worth.
type bucket struct {
	tokens int64
	at     core.Time // when tokens was true
}

// take takes a token if there is one.
func (b *bucket) take(now core.Time, perSecond int64) bool {
	every := core.Second / core.Time(perSecond)
	if n := int64((now - b.at) / every); n > 0 {
		b.at += core.Time(n) * every
		if b.tokens = min(b.tokens+n, perSecond); b.tokens == perSecond {
			b.at = now
		}
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}
