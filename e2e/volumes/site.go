package volumes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// picture is a PNG that differs for each n.
func picture(n int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 80, 60))
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for x := range 80 {
		for y := range 60 {
			img.Set(x, y, color.RGBA{uint8(random.Uint32()), uint8(random.Uint32()), uint8(n), 255})
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		panic(err) // a buffer takes everything
	}
	return buf.Bytes()
}

// site is WordPress as a browser sees it.
type site struct {
	client *http.Client
	url    string
	nonce  string // of the REST interface
}

func newSite(r *running) (*site, error) {
	jar, err := cookiejar.New(nil)
	return &site{client: &http.Client{Jar: jar}, url: "http://" + r.IP() + ":8080"}, err
}

func (s *site) do(req *http.Request) (string, error) {
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %.500s", req.Method, req.URL, resp.Status, body)
	}
	return string(body), err
}

func (s *site) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("X-WP-Nonce", s.nonce)
	return s.do(req)
}

func (s *site) post(ctx context.Context, path string, form url.Values) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(req)
}

// login gets a session's cookies and nonce.
func (s *site) login(ctx context.Context) (err error) {
	s.client.Jar.SetCookies(mustURL(s.url), []*http.Cookie{{Name: "wordpress_test_cookie", Value: "WP Cookie check"}})
	// Where it leads is not of interest: the page of the user's profile is the cheapest.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page, err := s.post(ctx, "/wp-login.php", url.Values{"log": {adminName}, "pwd": {adminPassword}, "testcookie": {"1"}})
	if err == nil {
		return fmt.Errorf("logging in: WordPress answers %.1000q", page)
	}
	if !strings.Contains(err.Error(), "302 Found") {
		return fmt.Errorf("logging in: %w", err)
	}
	s.nonce, err = s.get(ctx, "/wp-admin/admin-ajax.php?action=rest-nonce")
	if err == nil && len(s.nonce) != 10 {
		err = fmt.Errorf("not a nonce: %.200q", s.nonce)
	}
	return err
}

// upload adds a picture to the library, and returns the path by which it is served.
func (s *site) upload(ctx context.Context, n int) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/index.php?rest_route=/wp/v2/media", bytes.NewReader(picture(n)))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-WP-Nonce", s.nonce)
	req.Header.Set("Content-Type", "image/png")
	req.Header.Set("Content-Disposition", fmt.Sprintf("attachment; filename=\"picture-%d.png\"", n))
	text, err := s.do(req)
	if err != nil {
		return "", err
	}
	var answer struct {
		SourceURL string `json:"source_url"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return "", fmt.Errorf("upload %d: %w: %.500q", n, err, text)
	}
	path, ok := strings.CutPrefix(answer.SourceURL, s.url)
	if !ok {
		return "", fmt.Errorf("upload %d is at %q", n, answer.SourceURL)
	}
	return path, nil
}

// media counts the library's items.
func (s *site) media(ctx context.Context) (int, error) {
	text, err := s.get(ctx, "/index.php?rest_route=/wp/v2/media&per_page=100&_fields=id")
	if err != nil {
		return 0, err
	}
	var items []struct{ ID int }
	err = json.Unmarshal([]byte(text), &items)
	return len(items), err
}

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err) // made of an address
	}
	return u
}
