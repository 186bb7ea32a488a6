package main

import (
	"bufio"
	"bytes"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"
)

// connection is one keep-alive HTTP/1.1 connection. Go's own client costs the shared cores
// several times as much.
type connection struct {
	net.Conn
	answers *bufio.Reader
}

func dial(address string) (*connection, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReaderSize(conn, 8192)}, nil
}

func (c *connection) close() { c.Conn.Close() }

// ask sends a whole request and returns the status and the body of its answer, which must say
// its Content-Length.
func (c *connection) ask(request []byte) (status int, body []byte, err error) {
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err = c.Write(request); err != nil {
		return
	}
	line, err := c.answers.ReadSlice('\n')
	if err != nil {
		return
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("no status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return
	}
	length := -1
	for {
		if line, err = c.answers.ReadSlice('\n'); err != nil {
			return
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			length, err = strconv.Atoi(strings.TrimSpace(string(value)))
			if err != nil {
				return
			}
		}
	}
	if length < 0 {
		return status, nil, fmt.Errorf("an answer without Content-Length")
	}
	body = make([]byte, length)
	_, err = io.ReadFull(c.answers, body)
	return
}

// request is a POST whose body is made anew, at random, for each sending.
type request struct {
	bytes  []byte
	body   []byte // the end of bytes
	random *rand.ChaCha8
}

func newRequest(path, token string, size int) *request {
	var seed [32]byte
	crand.Read(seed[:])
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\n", path)
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	head += fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
	all := make([]byte, len(head)+size)
	copy(all, head)
	return &request{all, all[len(head):], rand.NewChaCha8(seed)}
}

func (r *request) next() []byte {
	at := 0
	for ; at+8 <= len(r.body); at += 8 {
		binary.LittleEndian.PutUint64(r.body[at:], r.random.Uint64())
	}
	for ; at < len(r.body); at++ {
		r.body[at] = byte(r.random.Uint64())
	}
	return r.bytes
}
