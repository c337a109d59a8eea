package volumes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	pixels "image"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
)

// wordpress is WordPress on PHP's web server, with its themes, plugins and uploads on the folder;
// MariaDB runs in the same pod. Its load are uploads.
type wordpress struct {
	uploaded acked
	paths    map[int]string // of uploads; written by load alone
}

var wordpressImage = debian.Image{
	Name: "wordpress",
	Layer: &debian.Layer{
		Packages: []string{"php8.2-cli", "php8.2-mysql"}, Below: []*debian.Layer{debian.Base},
		Alone: []string{"wordpress", "wordpress-theme-twentytwentyone", "php-getid3", "libjs-cropper", "libjs-underscore"},
		Omit:  []string{"libapache2-mod-php8.2", "psmisc"},
		Without: []string{ // links to nowhere, and languages
			"usr/share/wordpress/.htaccess", "usr/share/wordpress/wp-includes/certificates", "usr/share/wordpress/wp-config.php",
			"usr/share/wordpress/wp-content/languages", "var/lib/wordpress",
		},
	},
	Files: debian.Fixed(wordpressFiles()),
}

// wordpressFiles lay Debian's WordPress out as its web server sees it: the code
// in the image, wp-content on the volume.
func wordpressFiles() images.Tree {
	t := images.Tree{
		"etc/php": images.Dir(0o755), "etc/php/8.2": images.Dir(0o755), "etc/php/8.2/cli": images.Dir(0o755),
		"etc/php/8.2/cli/conf.d":            images.Dir(0o755),
		"etc/php/8.2/cli/conf.d/all.ini":    images.File(0o644, phpIni),
		"usr/share/wordpress/wp-config.php": images.File(0o644, wordpressConfig),
		"var/www":                           images.Dir(0o755), "var/www/html": images.Dir(0o755),
		"var/www/html/wp-content": images.Symlink(wpContent),
	}
	for _, name := range []string{"index.php", "wp-admin", "wp-includes", "wp-login.php"} {
		t["var/www/html/"+name] = images.Symlink("/usr/share/wordpress/" + name)
	}
	return t
}

const wpContent = "/var/www/wp-content"

const phpIni = `extension=ctype
extension=exif
extension=fileinfo
extension=mysqlnd
extension=mysqli
extension=tokenizer
zend_extension=opcache
opcache.enable_cli=1
upload_max_filesize=8M
`

const wordpressConfig = `<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', 'wordpress');
define('DB_HOST', '127.0.0.1');
define('DB_CHARSET', 'utf8mb4');
define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);
define('AUTH_KEY', 'a'); define('SECURE_AUTH_KEY', 'b'); define('LOGGED_IN_KEY', 'c'); define('NONCE_KEY', 'd');
define('AUTH_SALT', 'e'); define('SECURE_AUTH_SALT', 'f'); define('LOGGED_IN_SALT', 'g'); define('NONCE_SALT', 'h');
define('WP_CONTENT_DIR', '/var/www/wp-content');
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
`

const wordpressScript = `cd /var/www/wp-content
if [ ! -e uploads ]; then
	cp -r /usr/share/wordpress/wp-content/. .
	mkdir uploads
fi
exec php8.2 -S 0.0.0.0:8080 -t /var/www/html`

func (s *wordpress) name() string { return "WordPress" }

func (s *wordpress) container() container {
	return container{
		image: wordpressImage, command: []string{"sh", "-ec", wordpressScript}, user: debian.WebUser, memory: 256, data: wpContent,
		env: map[string]string{"PHP_CLI_SERVER_WORKERS": "2"},
	}
}

const (
	adminName     = "admin"
	adminPassword = "paddock-e2e-password"
	siteTitle     = "A site on a shared folder"
)

func (s *wordpress) use(ctx context.Context, r *running) error {
	site, err := newSite(r)
	if err != nil {
		return err
	}
	if err := r.Until(ctx, func(ctx context.Context) error {
		_, err := site.get(ctx, "/wp-admin/install.php")
		return err
	}); err != nil {
		return err
	}
	page, err := site.post(ctx, "/wp-admin/install.php?step=2", url.Values{
		"weblog_title": {siteTitle}, "user_name": {adminName}, "admin_password": {adminPassword}, "admin_password2": {adminPassword},
		"pw_weak": {"on"}, "admin_email": {"admin@example.org"}, "blog_public": {"0"}, "language": {""},
	})
	if err != nil {
		return err
	}
	if !strings.Contains(page, "Success!") {
		return fmt.Errorf("installing WordPress: it answers %.2000q", page)
	}
	return nil
}

// uploadsBeforeKill are few: each is some requests, of a second under emulation.
const uploadsBeforeKill = 3

func (s *wordpress) load(ctx context.Context, r *running, enough func()) error {
	site, err := newSite(r)
	if err != nil {
		return err
	}
	s.paths = map[int]string{}
	err = site.login(ctx)
	for n := 1; err == nil; n++ {
		var path string
		if path, err = site.upload(ctx, n); err == nil {
			s.paths[n] = path
			if s.uploaded.add(n); n >= uploadsBeforeKill {
				enough()
			}
		}
	}
	if s.uploaded.count() < uploadsBeforeKill {
		return err
	}
	return nil
}

func (s *wordpress) check(ctx context.Context, r *running) (string, error) {
	site, err := newSite(r)
	if err != nil {
		return "", err
	}
	var home string
	if err := r.Until(ctx, func(ctx context.Context) (err error) {
		home, err = site.get(ctx, "/")
		return err
	}); err != nil {
		return "", err
	}
	if !strings.Contains(home, siteTitle) || !strings.Contains(home, "Hello world!") {
		return "", fmt.Errorf("the home page reads %.2000q", home)
	}
	found := map[int]bool{}
	for n, path := range s.paths {
		got, err := site.get(ctx, path)
		if err != nil {
			return "", err
		}
		if found[n] = got == string(picture(n)); !found[n] {
			return "", fmt.Errorf("upload %d came back as other %d bytes", n, len(got))
		}
	}
	if err := s.uploaded.missing(found); err != nil {
		return "", err
	}
	if err := site.login(ctx); err != nil {
		return "", err
	}
	listed, err := site.media(ctx)
	if err != nil {
		return "", err
	}
	if listed < s.uploaded.count() {
		return "", fmt.Errorf("the library lists %d uploads of %d", listed, s.uploaded.count())
	}
	if _, err := site.upload(ctx, 1000); err != nil {
		return "", err
	}
	return fmt.Sprintf("the site is served, and its %d uploads", s.uploaded.count()), nil
}

// picture is a PNG that differs for each n.
func picture(n int) []byte {
	img := pixels.NewRGBA(pixels.Rect(0, 0, 80, 60))
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
	return len(items), errors.Join(err)
}

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err) // made of an address
	}
	return u
}
