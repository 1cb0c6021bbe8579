package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// envelope is the form of every message: one JSON object in one packet.
type envelope struct {
	Version int             `json:"version"`
	Type    string          `json:"type"`
	Body    json.RawMessage `json:"body"`
}

// message is what an envelope can hold: one of the pointer types in newMessage.
type message any

// typeOf is the name of a message's type, and newMessage the reverse.
func typeOf(m message) string {
	switch m.(type) {
	case *Hello:
		return "hello"
	case *Grant:
		return "grant"
	case *Certify:
		return "certify"
	case *Certified:
		return "certified"
	case *Refusal:
		return "refusal"
	case *Neigh:
		return "neigh"
	case *NeighReply:
		return "neigh_reply"
	case *StatusRequest:
		return "status"
	case *Status:
		return "status_reply"
	case *Evicted:
		return "evicted"
	case *Threads:
		return "threads"
	case *Done:
		return "done"
	case *CoresRequest:
		return "cores"
	case *Cores:
		return "cores_reply"
	}
	panic(fmt.Sprintf("control: %T is no message", m))
}

func newMessage(name string) message {
	switch name {
	case "hello":
		return new(Hello)
	case "grant":
		return new(Grant)
	case "certify":
		return new(Certify)
	case "certified":
		return new(Certified)
	case "refusal":
		return new(Refusal)
	case "neigh":
		return new(Neigh)
	case "neigh_reply":
		return new(NeighReply)
	case "status":
		return new(StatusRequest)
	case "status_reply":
		return new(Status)
	case "evicted":
		return new(Evicted)
	case "threads":
		return new(Threads)
	case "done":
		return new(Done)
	case "cores":
		return new(CoresRequest)
	case "cores_reply":
		return new(Cores)
	}
	return nil
}

// encode gives the bytes of m.
func encode(m message) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("control: encode %s: %w", typeOf(m), err)
	}
	text, err := json.Marshal(envelope{Version: Version, Type: typeOf(m), Body: body})
	if err != nil {
		return nil, fmt.Errorf("control: encode %s: %w", typeOf(m), err)
	}
	if len(text) > MaxMessageBytes {
		return nil, fmt.Errorf("control: encode %s: %d bytes, more than %d", typeOf(m), len(text),
			MaxMessageBytes)
	}
	return text, nil
}

// decode reads the bytes of one message. It is strict: fields that it does not know and anything
// behind the message are errors. The error is a *Refusal.
func decode(text []byte) (message, error) {
	// The version comes first, and alone: another version may have other fields.
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, Refuse(CodeMalformed, "not a message: %v", err)
	}
	if head.Version == nil {
		return nil, Refuse(CodeMalformed, "not a message: it has no version")
	}
	if *head.Version != Version {
		return nil, Refuse(CodeVersion, "message of version %d, this program speaks version %d: "+
			"install the same release on both sides", *head.Version, Version)
	}
	var e envelope
	if err := strict(text, &e); err != nil {
		return nil, Refuse(CodeMalformed, "not a message: %v", err)
	}
	m := newMessage(e.Type)
	if m == nil {
		return nil, Refuse(CodeMalformed, "no message has type %.32q", e.Type)
	}
	if err := strict(e.Body, m); err != nil {
		return nil, Refuse(CodeMalformed, "not a message of type %s: %v", e.Type, err)
	}
	return m, nil
}

// strict decodes one JSON object with no unknown fields and nothing behind it.
func strict(text []byte, into any) error {
	if text = bytes.TrimSpace(text); len(text) == 0 || text[0] != '{' {
		return errors.New("want a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows it")
	}
	return nil
}
