package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	quicProtocol = "dunlin-bench"
	// quicIdle is longer than any run: both ends are stopped while it is not their turn.
	quicIdle    = 24 * time.Hour
	dialTries   = 100
	dialPause   = 100 * time.Millisecond
	quicMessage = 64 << 10
)

func quicConfig() *quic.Config { return &quic.Config{MaxIdleTimeout: quicIdle} }

// serveQUIC sends back what arrives on the streams of any connection.
func serveQUIC(address string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(quicIdle)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return err
	}
	listener, err := quic.ListenAddr(address, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: private}},
		NextProtos:   []string{quicProtocol},
	}, quicConfig())
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept(context.Background())
		if err != nil {
			return err
		}
		go func() {
			for {
				stream, err := conn.AcceptStream(context.Background())
				if err != nil {
					return
				}
				go io.CopyBuffer(stream, stream, make([]byte, quicMessage)) // until it ends
			}
		}()
	}
}

// quicCaller has all calls in one stream, one after the other.
type quicCaller struct {
	stream *quic.Stream
	in     []byte
}

func dialQUIC(address string) (caller, error) {
	var conn *quic.Conn
	var err error
	for range dialTries { // until the server listens
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		conn, err = quic.DialAddr(ctx, address, &tls.Config{
			// The certificate is made for one run, and nobody has signed it.
			InsecureSkipVerify: true, NextProtos: []string{quicProtocol},
		}, quicConfig())
		cancel()
		if err == nil {
			break
		}
		time.Sleep(dialPause)
	}
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStreamSync(context.Background())
	return &quicCaller{stream, make([]byte, quicMessage)}, err
}

func (c *quicCaller) call(data []byte) ([]byte, error) {
	if err := c.stream.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, err
	}
	if _, err := c.stream.Write(data); err != nil {
		return nil, err
	}
	n, err := io.ReadFull(c.stream, c.in[:len(data)])
	return c.in[:n], err
}
