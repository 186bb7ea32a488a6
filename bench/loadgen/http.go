package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
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
	body    []byte // of the last answer; room for the next one
}

func dial(address string) (*connection, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReaderSize(conn, 8192), nil}, nil
}

func (c *connection) close() { c.Conn.Close() }

// ask sends a whole request and returns the status and the body of its answer, which must say
// its Content-Length; the body is good until the next call.
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
	if length > cap(c.body) {
		c.body = make([]byte, length)
	}
	body = c.body[:length]
	_, err = io.ReadFull(c.answers, body)
	return
}
