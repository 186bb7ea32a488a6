package main

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
)

// source makes whole requests; nil when there are no more.
type source interface {
	next() []byte
}

// entries are POSTs whose body is made anew, at random, for each sending: of one connection.
type entries struct {
	bytes  []byte
	body   []byte // the end of bytes
	random *rand.ChaCha8
}

func newEntries(path, token string, size int) *entries {
	var seed [32]byte
	crand.Read(seed[:])
	head := headOf("POST", path, token) + fmt.Sprintf(
		"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", size)
	all := make([]byte, len(head)+size)
	copy(all, head)
	return &entries{all, all[len(head):], rand.NewChaCha8(seed)}
}

func (e *entries) next() []byte {
	at := 0
	for ; at+8 <= len(e.body); at += 8 {
		binary.LittleEndian.PutUint64(e.body[at:], e.random.Uint64())
	}
	for ; at < len(e.body); at++ {
		e.body[at] = byte(e.random.Uint64())
	}
	return e.bytes
}

// gets are GETs made beforehand, dealt out to all connections in their order.
type gets struct {
	requests [][]byte
	taken    atomic.Int64
	once     bool
}

func readPaths(file, token string, once bool) (*gets, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var requests [][]byte
	for _, path := range strings.Fields(string(text)) {
		requests = append(requests, []byte(headOf("GET", path, token)+"\r\n"))
	}
	if len(requests) == 0 {
		return nil, fmt.Errorf("%s names no path", file)
	}
	return &gets{requests: requests, once: once}, nil
}

func (g *gets) next() []byte {
	number := g.taken.Add(1) - 1
	count := int64(len(g.requests))
	if g.once && number >= count {
		return nil
	}
	return g.requests[number%count]
}

func headOf(method, path, token string) string {
	head := method + " " + path + " HTTP/1.1\r\nHost: bench\r\n"
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	return head
}
