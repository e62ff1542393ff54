var e=class extends Error{},t=class extends e{wait;constructor(e,t){super(e),this.wait=t}},n=class extends Error{},r=e=>e instanceof DOMException&&e.name===`AbortError`,i=(e,t)=>({role:`user`,content:[{type:`image_url`,image_url:{url:e}},{type:`text`,text:t}]}),a=class extends Error{},o=new Set([`image/jpeg`,`image/png`,`image/webp`]),s=4e6,c=.92,l=2048,u=e=>new Promise((t,n)=>{let r=new FileReader;r.addEventListener(`load`,()=>t(String(r.result))),r.addEventListener(`error`,()=>n(new a(String(r.error)))),r.readAsDataURL(e)});function d(e,t,n,r){return p(e,t,n,r).toDataURL(`image/jpeg`,c)}async function f(e,t){let n=await createImageBitmap(e);try{let e=p(n,n.width,n.height,t),{promise:r,resolve:i}=Promise.withResolvers();e.toBlob(i,`image/jpeg`,c);let o=await r;if(o===null)throw new a(`no JPEG`);return o}finally{n.close()}}function p(e,t,n,r){let i=Math.min(1,r/Math.max(t,n)),o=document.createElement(`canvas`);o.width=Math.max(1,Math.round(t*i)),o.height=Math.max(1,Math.round(n*i));let s=o.getContext(`2d`);if(!s)throw new a(`no canvas`);return s.fillStyle=`white`,s.fillRect(0,0,o.width,o.height),s.drawImage(e,0,0,o.width,o.height),o}async function m(e,t){let n;try{n=await createImageBitmap(e)}catch{throw new a(t)}try{return{name:t,data:o.has(e.type)&&e.size<=s?await u(e):d(n,n.width,n.height,l)}}finally{n.close()}}function h(e){let t=[...e?.files??[]];return t.find(e=>e.type.startsWith(`image/`))??t[0]??null}async function ee(t){let n=await fetch(new URL(`site.json`,t)).catch(()=>null);if(!n?.ok)throw new e(`The page's site.json is missing: galago export --to web writes it.`);return await n.json()}new Uint8Array([0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,10,23,1,21,0,253,12,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,26,11]);var te=2,ne=()=>self.crossOriginIsolated?Math.max(1,Math.min(te,navigator.hardwareConcurrency||1)):1,re=`\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}`,ie=`${re}\\u00B2\\u00B3\\u00B9\\u00BC-\\u00BE`,g=`[${ie}]`;`${ie}`,`${g}${g}${g}${g}`,`${g}${g}${g}${g}`;var ae=`0-9A-Fa-f`;`${ae}`,`${ae}`,`${re}`,`${ae}`,(e=>Object.fromEntries(Object.entries(e).map(([e,t])=>[t,e])))((()=>{let e=[...Array.from({length:94},(e,t)=>t+33),...Array.from({length:12},(e,t)=>t+161),...Array.from({length:82},(e,t)=>t+174)],t=e.slice(),n=0;for(let r=0;r<256;++r)e.includes(r)||(e.push(r),t.push(256+n),n+=1);let r=t.map(e=>String.fromCharCode(e));return Object.fromEntries(e.map((e,t)=>[e,r[t]]))})()),(()=>{let e=256,t=e=>e>32&&e<127||e>160&&e<173||e>173;return Array.from({length:256},(n,r)=>String.fromCharCode(t(r)?r:e++))})();var oe=/\p{L}/u,se=/\p{Script=Latin}/u,ce=e=>!se.test(e)||e===`ª`||e===`º`,le=e=>[...e].filter(e=>oe.test(e));function ue(e){let t=le(e);return 2*t.filter(ce).length>t.length}function de(e,t){let n=e.find(ue);if(n===void 0)return null;let r=[...n];return`${t} reads English only: what it makes of “${r.length<=40?n:`${r.slice(0,39).join(``)}…`}” is chance; say it in English`}function fe(t){let n=/^data:([^;,]*)[^,]*;base64,(.*)$/s.exec(t);if(!n)throw new e(`this is no picture`);let r=atob(n[2]??``),i=new Uint8Array(r.length);for(let e=0;e<r.length;e++)i[e]=r.charCodeAt(e);return new Blob([i],{type:n[1]??``})}var pe=/\.(jpe?g|jpe|jfif|png|webp|gif|bmp|avif|heic|heif|tiff?|jxl)$/i,me=({name:e,type:t})=>t.startsWith(`image/`)||pe.test(e);async function*he(e,t,n){let r=[];try{for await(let t of e.values())r.push(t)}catch(e){n({path:t,reason:e instanceof Error?e.message:String(e)});return}r.sort((e,t)=>e.name<t.name?-1:1);for(let e of r){if(e.name.startsWith(`.`))continue;let r=`${t}/${e.name}`;if(e.kind===`directory`)yield*he(e,r,n);else if(pe.test(e.name))try{yield{file:await e.getFile(),path:r}}catch(e){n({path:r,reason:e instanceof Error?e.message:String(e)})}}}async function ge(e,t){let[,...n]=t.split(`/`),r=n.pop();try{if(r===void 0||await _e(e,!1)!==`granted`)return null;let t=e;for(let e of n)t=await t.getDirectoryHandle(e);return await(await t.getFileHandle(r)).getFile()}catch{return null}}async function _e(e,t){let n=e,r=await n.queryPermission({mode:`read`});return r===`prompt`&&t?n.requestPermission({mode:`read`}):r}var ve=()=>globalThis.showDirectoryPicker!==void 0;async function ye(){try{return await globalThis.showDirectoryPicker?.({id:`photos`,mode:`read`})??null}catch(e){if(e instanceof DOMException&&e.name===`AbortError`)return null;throw e}}var be=Symbol(`Comlink.proxy`),xe=Symbol(`Comlink.endpoint`),Se=Symbol(`Comlink.releaseProxy`),Ce=Symbol(`Comlink.finalizer`),we=Symbol(`Comlink.thrown`),Te=e=>typeof e==`object`&&!!e||typeof e==`function`,Ee=new Map([[`proxy`,{canHandle:e=>Te(e)&&e[be],serialize(e){let{port1:t,port2:n}=new MessageChannel;return Oe(e,t),[n,[n]]},deserialize(e){return e.start(),je(e)}}],[`throw`,{canHandle:e=>Te(e)&&we in e,serialize({value:e}){let t;return t=e instanceof Error?{isError:!0,value:{message:e.message,name:e.name,stack:e.stack}}:{isError:!1,value:e},[t,[]]},deserialize(e){throw e.isError?Object.assign(Error(e.value.message),e.value):e.value}}]]);function De(e,t){for(let n of e)if(t===n||n===`*`||n instanceof RegExp&&n.test(t))return!0;return!1}function Oe(e,t=globalThis,n=[`*`]){t.addEventListener(`message`,function r(i){if(!i||!i.data)return;if(!De(n,i.origin)){console.warn(`Invalid origin '${i.origin}' for comlink proxy`);return}let{id:a,type:o,path:s}=Object.assign({path:[]},i.data),c=(i.data.argumentList||[]).map(v),l;try{let t=s.slice(0,-1).reduce((e,t)=>e[t],e),n=s.reduce((e,t)=>e[t],e);switch(o){case`GET`:l=n;break;case`SET`:t[s.slice(-1)[0]]=v(i.data.value),l=!0;break;case`APPLY`:l=n.apply(t,c);break;case`CONSTRUCT`:l=_(new n(...c));break;case`ENDPOINT`:{let{port1:t,port2:n}=new MessageChannel;Oe(e,n),l=He(t,[t])}break;case`RELEASE`:l=void 0;break;default:return}}catch(e){l={value:e,[we]:0}}Promise.resolve(l).catch(e=>({value:e,[we]:0})).then(n=>{let[i,s]=Ue(n);t.postMessage(Object.assign(Object.assign({},i),{id:a}),s),o===`RELEASE`&&(t.removeEventListener(`message`,r),Ae(t),Ce in e&&typeof e[Ce]==`function`&&e[Ce]())}).catch(e=>{let[n,r]=Ue({value:TypeError(`Unserializable return value`),[we]:0});t.postMessage(Object.assign(Object.assign({},n),{id:a}),r)})}),t.start&&t.start()}function ke(e){return e.constructor.name===`MessagePort`}function Ae(e){ke(e)&&e.close()}function je(e,t){let n=new Map;return e.addEventListener(`message`,function(e){let{data:t}=e;if(!t||!t.id)return;let r=n.get(t.id);if(r)try{r(t)}finally{n.delete(t.id)}}),Re(e,n,[],t)}function Me(e){if(e)throw Error(`Proxy has been released and is not useable`)}function Ne(e){return y(e,new Map,{type:`RELEASE`}).then(()=>{Ae(e)})}var Pe=new WeakMap,Fe=`FinalizationRegistry`in globalThis&&new FinalizationRegistry(e=>{let t=(Pe.get(e)||0)-1;Pe.set(e,t),t===0&&Ne(e)});function Ie(e,t){let n=(Pe.get(t)||0)+1;Pe.set(t,n),Fe&&Fe.register(e,t,e)}function Le(e){Fe&&Fe.unregister(e)}function Re(e,t,n=[],r=function(){}){let i=!1,a=new Proxy(r,{get(r,o){if(Me(i),o===Se)return()=>{Le(a),Ne(e),t.clear(),i=!0};if(o===`then`){if(n.length===0)return{then:()=>a};let r=y(e,t,{type:`GET`,path:n.map(e=>e.toString())}).then(v);return r.then.bind(r)}return Re(e,t,[...n,o])},set(r,a,o){Me(i);let[s,c]=Ue(o);return y(e,t,{type:`SET`,path:[...n,a].map(e=>e.toString()),value:s},c).then(v)},apply(r,a,o){Me(i);let s=n[n.length-1];if(s===xe)return y(e,t,{type:`ENDPOINT`}).then(v);if(s===`bind`)return Re(e,t,n.slice(0,-1));let[c,l]=Be(o);return y(e,t,{type:`APPLY`,path:n.map(e=>e.toString()),argumentList:c},l).then(v)},construct(r,a){Me(i);let[o,s]=Be(a);return y(e,t,{type:`CONSTRUCT`,path:n.map(e=>e.toString()),argumentList:o},s).then(v)}});return Ie(a,e),a}function ze(e){return Array.prototype.concat.apply([],e)}function Be(e){let t=e.map(Ue);return[t.map(e=>e[0]),ze(t.map(e=>e[1]))]}var Ve=new WeakMap;function He(e,t){return Ve.set(e,t),e}function _(e){return Object.assign(e,{[be]:!0})}function Ue(e){for(let[t,n]of Ee)if(n.canHandle(e)){let[r,i]=n.serialize(e);return[{type:`HANDLER`,name:t,value:r},i]}return[{type:`RAW`,value:e},Ve.get(e)||[]]}function v(e){switch(e.type){case`HANDLER`:return Ee.get(e.name).deserialize(e.value);case`RAW`:return e.value}}function y(e,t,n,r){return new Promise(i=>{let a=We();t.set(a,i),e.start&&e.start(),e.postMessage(Object.assign({id:a},n),r)})}function We(){return[,,,,].fill(0).map(()=>Math.floor(Math.random()*(2**53-1)).toString(16)).join(`-`)}var Ge=`# Queries that are put to every album, to learn what its scores mean (galago/album/match.py).
# Changing a line changes the calibration of albums made later, not of those that exist.
# What photos show.
a dog
a cat
a horse
a cow in a field
a flock of sheep
a bird on a branch
a parrot
an owl
a duck on a pond
a chicken
a fish
an aquarium
a butterfly
a bee on a flower
a spider
a snake
a frog
a lizard
a turtle
an elephant
a lion
a monkey
a bear
a deer in the forest
a rabbit
a squirrel
a hedgehog
a whale
a snail
a goat
a man
a woman
a child
a baby
an old man
an old woman
a group of people
a crowd
a family at a table
a couple
a bride and groom
a portrait
a selfie
a smiling face
a hand
feet in the sand
a man with a beard
a girl with long hair
a boy on a swing
a person wearing a hat
a person reading a book
a person cooking
people dancing
a person running
a person sleeping
a person on a phone
a person swimming
a soldier
a doctor
a musician on a stage
a beach
the sea
waves
a lake
a river
a waterfall
a mountain
snow
a glacier
a desert
a forest
a path through trees
a meadow
a hill
a cave
a cliff
an island
clouds
a blue sky
a sunset
a sunrise
a rainbow
lightning
fog
rain on a window
stars at night
the moon
a field of wheat
autumn leaves
a frozen pond
a city street
a skyline at night
a tall building
a house
a hut
a castle
a church
a mosque
a temple
a bridge
a tower
a ruin
a statue
a fountain
a market
a shop window
a staircase
a door
a window
a wall with graffiti
a courtyard
a park bench
a playground
a garden
a fence
a parking lot
a construction site
a factory
a harbour
a lighthouse
a car
a bus
a truck
a train
a tram
a bicycle
a motorcycle
an airplane
a helicopter
a boat
a sailing boat
a ship
a canoe
a tractor
a fire engine
a railway station
an airport
a motorway
a tunnel
a traffic light
a road sign
a wheel
an engine
a caravan
a tent
food on a plate
bread
a cake
an ice cream
a pizza
a hamburger
soup in a bowl
a salad
fruit
an apple
bananas
oranges
strawberries
vegetables
tomatoes
potatoes
a fried egg
cheese
meat on a grill
noodles
rice
sushi
chocolate
a cup of coffee
a cup of tea
a glass of wine
a bottle
beer
breakfast
a birthday cake with candles
a kitchen
a living room
a bedroom
a bathroom
an office
a classroom
a library
a restaurant
a bar
a hospital room
a staircase indoors
an attic
a workshop
a garage
a cellar
a chair
a table
a bed
a sofa
a lamp
a mirror
a clock
a shelf with books
a cupboard
a carpet
curtains
a pillow
a candle
a vase with flowers
a fireplace
a bathtub
a sink
a refrigerator
an oven
a washing machine
a computer
a laptop
a keyboard
a telephone
a television
a camera
headphones
a radio
a microphone
a printer
a screenshot
a cable
a robot
a light bulb
a battery
a pen
a notebook
a newspaper
a letter
a map
a sign with words
a page of text
a receipt
a ticket
a diagram
a drawing
a painting
a poster
a cartoon
a logo
a black and white photograph
a blurry photo
a dark photo
a close-up
an aerial view
a shirt
a dress
a coat
shoes
boots
a hat
glasses
a watch
a ring
a necklace
a handbag
a suitcase
an umbrella
a scarf
gloves
a ball
a football match
a tennis player
a swimmer
a skier
a surfer
a cyclist
a golf course
a chess board
playing cards
a toy
a teddy bear
a doll
building bricks
a kite
a balloon
fireworks
a Christmas tree
a carnival mask
a wedding
a guitar
a piano
a violin
a drum
a trumpet
an orchestra
a concert
a microscope
a knife
scissors
a hammer
a screwdriver
a rope
a bucket
a ladder
a key
a coin
money
a flag
a box
a flower
a rose
a sunflower
a tulip
a tree
a palm tree
a cactus
grass
moss on a stone
a mushroom
a leaf
a bush
a potted plant
a vineyard
an orchard
a stone
sand
wood
metal
glass
cloth
water
fire
smoke
ice
a red pattern
a blue pattern
a green background
stripes
a white background
# What no photo shows.
compound interest
a subordinate clause
the square root of two
the law of contracts
a rumour
the year 1743
an alibi
inflation
the subjunctive
a software licence
patience
the opposite of a question
a password
last Tuesday
an apology
gravity
the theory of groups
a promise
an allergy
the price of copper
the taste of salt
a dialect
an inheritance
a majority of votes
the colour of a sound
justice
a synonym
a deadline
the meaning of a word
nostalgia
a tax return
an exception to the rule
probability
an algorithm for sorting
the end of an era
an insurance policy
a misunderstanding
the speed of light
monarchy
a coincidence
a proverb
the definition of a metre
silence
an argument about money
bureaucracy
a headache
yesterday's weather forecast
the plural of a noun
an echo
logic
a trade agreement
the conscience
a philosophy of mind
a discount
jealousy
the third chapter
an amendment
a rounding error
the smell of rain
a vitamin deficiency
the past tense
a hypothesis
a nickname
democracy
the average of ten numbers
a bad habit
an axiom
citizenship
a joke nobody understood
the rate of exchange
`,Ke=`# What a photo may show, in plain words: galago/album/sights.py picks those that fit it best.
# Things rather than moods, each by the name most people give it.
dog
cat
horse
cow
sheep
pig
bird
parrot
owl
duck
chicken
fish
butterfly
bee
spider
snake
frog
turtle
elephant
lion
tiger
monkey
bear
deer
rabbit
squirrel
camel
kangaroo
penguin
dolphin
crab
man
woman
child
baby
group of people
crowd
couple
bride and groom
face
hand
beach
sea
lake
river
waterfall
mountain
snow
desert
forest
meadow
cave
cliff
island
clouds
blue sky
sunset
rainbow
fog
night sky with stars
moon
field of wheat
autumn leaves
street
skyline
tall building
house
castle
church
mosque
temple
bridge
tower
ruin
statue
fountain
market
shop window
staircase
door
window
graffiti
bench
playground
garden
fence
construction site
factory
harbour
lighthouse
car
bus
truck
train
tram
bicycle
motorcycle
airplane
helicopter
boat
sailing boat
ship
tractor
railway station
airport
traffic light
road sign
tent
food on a plate
bread
cake
ice cream
pizza
hamburger
soup
salad
fried egg
cheese
meat
noodles
rice
sushi
chocolate
cup of coffee
cup of tea
glass of wine
bottle
beer
milk carton
juice
yoghurt
apple
green apple
banana
orange
lemon
lime
pear
peach
plum
kiwi
mango
melon
watermelon
pineapple
pomegranate
grapes
strawberries
avocado
tomatoes
potatoes
carrots
onions
garlic
ginger
bell pepper
cucumber
aubergine
zucchini
cabbage
leek
asparagus
mushrooms
beetroot
rose
tulip
daisy
dandelion
sunflower
potted plant
tree
bonsai
cactus
kitchen
living room
bedroom
bathroom
office
classroom
library
restaurant
bar
chair
table
bed
sofa
lamp
mirror
clock
bookshelf
carpet
curtains
candle
vase with flowers
fireplace
sink
refrigerator
computer
laptop
keyboard
telephone
television
camera
headphones
microphone
screenshot
light bulb
pen
book
newspaper
letter
map
sign with words
page of text
receipt
diagram
drawing
painting
cartoon
logo
shirt
t-shirt
dress
skirt
trousers
shorts
coat
jacket
shoes
boots
hat
cap
glasses
watch
ring
necklace
handbag
suitcase
umbrella
scarf
gloves
ball
football match
skier
surfer
chess board
playing cards
toy
teddy bear
doll
kite
balloon
fireworks
Christmas tree
guitar
piano
violin
drum
saxophone
concert
knife
scissors
hammer
key
coin
`,qe=null;function Je(){return qe??=je(new Worker(new URL(new URL(`worker-m7ymsC2N.js`,import.meta.url).href,``+import.meta.url),{type:`module`,name:`galago`})),qe}var Ye=1.5,Xe=.9,Ze=3,Qe=.8;function $e(e){let t=[];for(let n of e.split(`
`))n.startsWith(`#`)?t.push([]):n&&t.at(-1)?.push(n);let[n=[],r=[]]=t.filter(e=>e.length);return{shown:n,absent:r}}function b(e){let t=0;for(let n of e)t+=n;let n=t/e.length,r=0;for(let t of e)r+=(t-n)**2;return{mean:n,deviation:Math.max(Math.sqrt(r/e.length),1e-6)}}function et(e,t){let{mean:n,deviation:r}=b(t);return(e-n)/r}function tt(e,t){let[n,r]=[b(e).mean,b(t).mean],i=0,a=0,o=0;for(let s=0;s<e.length;s++){let[c,l]=[e[s]-n,t[s]-r];i+=c*l,a+=c*c,o+=l*l}return i/(Math.max(Math.sqrt(a),1e-6)*Math.max(Math.sqrt(o),1e-6))}function nt(e,t,n){let{mean:r,deviation:i}=b(n.shown.scores(t));n.absent.scores(t).forEach((t,n)=>{e[n]=Math.max(e[n],(t-r)/i)})}function rt(e){if(!e.length||!e.every(Number.isFinite))return Ye;let t=e.slice().sort(),n=Xe*(t.length-1),r=Math.floor(n),i=Math.min(r+1,t.length-1);return Math.max(Ye,t[r]+(n-r)*(t[i]-t[r]))}var it=e=>e>=(e>1?Ze:Qe),at=2e4,ot=class e{dim;count;data;constructor(e,t=new Float32Array,n=e?t.length/e:0){this.dim=e,this.count=n,this.data=t}reserve(e){if(e*this.dim<=this.data.length)return;let t=new Float32Array(e*this.dim);t.set(this.data.subarray(0,this.count*this.dim)),this.data=t}push(e){(this.count+1)*this.dim>this.data.length&&this.reserve(Math.max(1024,Math.ceil(1.5*this.count))),this.data.set(e,this.count*this.dim),this.count++}row(e){return this.data.subarray(e*this.dim,(e+1)*this.dim)}part(t,n){return new e(this.dim,this.data.slice(t*this.dim,n*this.dim))}score(e,t){let{data:n,dim:r}=this,i=e*r,a=0,o=0,s=0,c=0,l=0;for(;l+3<r;l+=4)a+=n[i+l]*t[l],o+=n[i+l+1]*t[l+1],s+=n[i+l+2]*t[l+2],c+=n[i+l+3]*t[l+3];for(;l<r;l++)a+=n[i+l]*t[l];return a+o+s+c}scores(e){let t=new Float32Array(this.count);for(let n=0;n<this.count;n++)t[n]=this.score(n,e);return t}mean(e=Array(this.count).keys()){let t=new Float32Array(this.dim),n=0;for(let r of e)this.row(r).forEach((e,n)=>t[n]+=e),n++;return t.map(e=>e/Math.max(1,n))}async nearest(e,t,n,r){let i=new Float32Array(this.count),a=[];for(let t=0;t<this.count;t+=at){t&&await new Promise(e=>setTimeout(e)),r?.throwIfAborted();for(let r=t;r<Math.min(t+at,this.count);r++)(!n||n(r))&&(i[r]=this.score(r,e),a.push(r))}return{places:st(a,i,t),scores:i}}};function st(e,t,n){let r=(e,n)=>t[n]-t[e]||e-n;if(e.length>2*n){let r=Float32Array.from(e,e=>t[e]).sort(),i=r[r.length-n];e=e.filter(e=>t[e]>=i)}return e.sort(r).slice(0,n)}var ct=e=>`a photo of ${e}`,lt=3,ut=.5,dt=3,ft=e=>e.split(`
`).filter(e=>e&&!e.startsWith(`#`));function pt(e,t){let n=t.scores(e),{mean:r,deviation:i}=b(n),a=n.map(e=>(e-r)/i),o=[...a.keys()].sort((e,t)=>a[t]-a[e]||e-t).slice(0,dt),s=Math.max(lt,(a[o[0]??0]??0)-ut);return o.filter(e=>a[e]>=s)}var mt=`this page came without a model that finds photos: galago export --to web --with mobileclip2-nano adds one`,ht=class{host;store;words=ft(Ke);phrases=null;named=null;constructor(e,t){this.host=e,this.store=t}async about(){let t=(await this.host.site()).models.find(({kind:e})=>e===`mobileclip`);if(!t)throw new e(mt);return t}async open(){let[e,t]=[await this.host.site(),await this.about()],{clip:n}=Je();return await n.use(document.baseURI,e,t,_((e,n,r)=>this.host.loading({name:t.id,done:e,total:n,kept:r}))),{clip:n}}background(e=()=>{}){return this.phrases??=this.makeBackground(e).catch(e=>{throw this.phrases=null,e})}namedWords(){return this.named??=this.kept(`sights`,this.words.map(ct)).catch(e=>{throw this.named=null,e})}forget(){this.phrases=this.named=null}async makeBackground(e){let{shown:t,absent:n}=$e(Ge),r=await this.kept(`background`,[...t,...n],e);return{shown:r.part(0,t.length),absent:r.part(t.length,r.count)}}async kept(e,t,n=()=>{}){let r=gt(await this.about()),i=await(await this.store()).phrases(e,r,t,async()=>(n(),(await(await this.open()).clip.read(t)).rows));return new ot(i.length/t.length,i)}};function gt({id:e,dtype:t,image:n,files:r}){let i=r.filter(({path:e})=>e.startsWith(`onnx/`));return JSON.stringify([e,t,n,i.map(({path:e,sha256:t,bytes:n})=>`${e} ${t||n}`)])}var _t=(e,t)=>t.some(t=>e instanceof t),vt,yt;function bt(){return vt||=[IDBIndex,IDBObjectStore,IDBCursor,IDBDatabase,IDBTransaction]}function xt(){return yt||=[`advance`,`continue`,`continuePrimaryKey`].map(e=>IDBCursor.prototype[e])}var St=new WeakMap,Ct=new WeakMap,wt=new WeakMap;function Tt(e){let t=new Promise((t,n)=>{let r=()=>{e.removeEventListener(`success`,i),e.removeEventListener(`error`,a)},i=()=>{t(x(e.result)),r()},a=()=>{n(e.error),r()};e.addEventListener(`success`,i),e.addEventListener(`error`,a)});return wt.set(t,e),t}function Et(e){if(St.has(e))return;let t=new Promise((t,n)=>{let r=()=>{e.removeEventListener(`complete`,i),e.removeEventListener(`error`,a),e.removeEventListener(`abort`,a)},i=()=>{t(),r()},a=()=>{n(e.error||new DOMException(`AbortError`,`AbortError`)),r()};e.addEventListener(`complete`,i),e.addEventListener(`error`,a),e.addEventListener(`abort`,a)});St.set(e,t)}var Dt={get(e,t,n){if(e instanceof IDBTransaction){if(t===`done`)return St.get(e);if(t===`store`)return n.objectStoreNames[1]?void 0:n.objectStore(n.objectStoreNames[0])}return x(e[t])},set(e,t,n){return e[t]=n,!0},has(e,t){return e instanceof IDBTransaction&&(t===`done`||t===`store`)||t in e}};function Ot(e){Dt=e(Dt)}function kt(e){return xt().includes(e)?function(...t){return e.apply(jt(this),t),x(this.request)}:function(...t){return x(e.apply(jt(this),t))}}function At(e){return typeof e==`function`?kt(e):(e instanceof IDBTransaction&&Et(e),_t(e,bt())?new Proxy(e,Dt):e)}function x(e){if(e instanceof IDBRequest)return Tt(e);if(Ct.has(e))return Ct.get(e);let t=At(e);return Object.is(t,e)||(Ct.set(e,t),wt.set(t,e)),t}var jt=e=>wt.get(e);function Mt(e,t,{blocked:n,upgrade:r,blocking:i,terminated:a}={}){let o=indexedDB.open(e,t),s=x(o);return r&&o.addEventListener(`upgradeneeded`,e=>{r(x(o.result),e.oldVersion,e.newVersion,x(o.transaction),e)}),n&&o.addEventListener(`blocked`,e=>n(e.oldVersion,e.newVersion,e)),s.then(e=>{a&&e.addEventListener(`close`,()=>a()),i&&e.addEventListener(`versionchange`,e=>i(e.oldVersion,e.newVersion,e))}).catch(()=>{}),s}var Nt=[`get`,`getKey`,`getAll`,`getAllKeys`,`count`],Pt=[`put`,`add`,`delete`,`clear`],Ft={};function It(e,t){if(!(e instanceof IDBDatabase&&!(t in e)&&typeof t==`string`))return;if(Ft[t])return Ft[t];let n=t.replace(/FromIndex$/,``),r=t!==n,i=Pt.includes(n);return!(n in(r?IDBIndex:IDBObjectStore).prototype)||!(i||Nt.includes(n))?void 0:Ft[t]=async function(e,...t){let a=this.transaction(e,i?`readwrite`:`readonly`),o=a.store;return r&&(o=o.index(t.shift())),(await Promise.all([o[n](...t),i&&a.done]))[0]}}Ot(e=>({...e,get:(t,n,r)=>It(t,n)||e.get(t,n,r),has:(t,n)=>!!It(t,n)||e.has(t,n)}));var Lt=[`advance`,`continue`,`continuePrimaryKey`],Rt={},zt=new WeakMap,Bt=new WeakMap,Vt={get(e,t){if(!Lt.includes(t))return e[t];let n=Rt[t];return n||=Rt[t]=function(...e){zt.set(this,Bt.get(this)[t](...e))},n}};async function*Ht(...e){let t=this;if(t instanceof IDBCursor||(t=await t.openCursor(...e)),!t)return;t=t;let n=new Proxy(t,Vt);for(Bt.set(n,t),wt.set(n,jt(t));t;)yield n,t=await(zt.get(n)||t.continue()),zt.delete(n)}function Ut(e,t){return t===Symbol.asyncIterator&&_t(e,[IDBIndex,IDBObjectStore,IDBCursor])||t===`iterate`&&_t(e,[IDBIndex,IDBObjectStore])}Ot(e=>({...e,get(t,n,r){return Ut(t,n)?Ht:e.get(t,n,r)},has(t,n){return Ut(t,n)||e.has(t,n)}}));var Wt=`galago-album`,Gt=1,Kt=2e3,qt=256e6,Jt=e=>e instanceof DOMException&&e.name===`QuotaExceededError`,Yt=(e,t,n)=>e.includes(`/`)?e:`${e}\0${t}\0${n}`,Xt=class e{db;constructor(e){this.db=e}static async open(){let t=await Mt(Wt,Gt,{upgrade(e){e.createObjectStore(`about`),e.createObjectStore(`photos`,{keyPath:`id`}).createIndex(`key`,`key`,{unique:!0}),e.createObjectStore(`pictures`),e.createObjectStore(`folders`,{keyPath:`name`}),e.createObjectStore(`phrases`)},blocking:(e,t,n)=>n.target.close()});return new e(t)}async about(){return await this.db.get(`about`,`album`)??null}async begin(e){let t=this.db.transaction([`about`,`photos`,`pictures`],`readwrite`);await t.objectStore(`photos`).clear(),await t.objectStore(`pictures`).clear(),await t.objectStore(`about`).put(e,`album`),await t.done}async add(e,t,n){let r=this.db.transaction([`about`,`photos`,`pictures`],`readwrite`),i=r.done;i.catch(()=>{});try{let a=await r.objectStore(`about`).get(`album`);if(!a)throw Error(`the album was emptied meanwhile`);for(let[n,i]of e.entries()){let e=await r.objectStore(`photos`).index(`key`).get(i.key);e&&(Zt(a,e),await r.objectStore(`photos`).delete(e.id),await r.objectStore(`pictures`).delete(e.id)),await r.objectStore(`photos`).put(i),await r.objectStore(`pictures`).put(t[n],i.id),a.photos++,a.bytes+=i.thumb+i.preview,a.previews+=i.preview}return a.reach=n,await r.objectStore(`about`).put(a,`album`),await i,a}catch(e){try{r.abort()}catch{}throw await i.catch(e=>{if(Jt(e))throw e}),e}}async remove(e){let t=this.db.transaction([`about`,`photos`,`pictures`],`readwrite`),n=await t.objectStore(`about`).get(`album`);if(n){for(let r of e)Zt(n,r),await t.objectStore(`photos`).delete(r.id),await t.objectStore(`pictures`).delete(r.id);await t.objectStore(`about`).put(n,`album`)}return await t.done,n??null}async forget(){let e=[`about`,`photos`,`pictures`,`folders`,`phrases`],t=this.db.transaction(e,`readwrite`);for(let n of e)await t.objectStore(n).clear();await t.done}async read(e,t,n,r){for(n.reserve(n.count+await this.db.count(`photos`,IDBKeyRange.lowerBound(e)));;){let i=await this.db.getAll(`photos`,IDBKeyRange.lowerBound(e),Kt);for(let{vector:e,...a}of i)e.length===t&&(n.push(e),r.push(a));if(i.length<Kt)return;e=i.at(-1).id+1}}async nextId(){return((await this.db.transaction(`photos`).store.openKeyCursor(null,`prev`))?.key??0)+1}async vector(e){return(await this.db.get(`photos`,e))?.vector??null}pictures(e){return this.db.get(`pictures`,e)}folders(){return this.db.getAll(`folders`)}async keepFolder(e){await this.db.put(`folders`,e)}async phrases(e,t,n,r){let i=n.join(`
`),a=await this.db.get(`phrases`,e);if(a?.identity===t&&a.texts===i)return a.rows;let o=await r();return await this.db.put(`phrases`,{identity:t,texts:i,rows:o},e).catch(e=>{if(!Jt(e))throw e}),o}};function Zt(e,t){e.epoch++,e.photos--,e.bytes-=t.thumb+t.preview,e.previews-=t.preview}var Qt=class{shelf;indexing;model;canOpen=ve();constructor(e,t,n){this.shelf=e,this.indexing=t,this.model=n}async add(t){let n=t.filter(({file:e})=>me(e));if(!n.length)throw new e(`there is no picture among these files`);let r=n.map(({path:e})=>e.includes(`/`)?e.slice(0,e.indexOf(`/`)):null),i=[...new Set(r)].filter(e=>e!==null),a=(await(await this.shelf.open()).folders()).map(({name:e})=>e),o=i.filter(e=>!a.includes(e)).map(e=>({name:e,handle:null}));return this.start({names:i,given:$t(n),whole:[],unread:[],keep:o})}async open(){let e=await ye();if(e===null)return null;let t=await tn(e,await(await this.shelf.open()).folders());return this.start(en([{name:t,handle:e}],!0))}async again(){let t=(await(await this.shelf.open()).folders()).filter(({handle:e})=>e!==null);if(!t.length)throw new e(`this browser can't look at the folders by itself: choose them again`);let n=[];for(let e of t)await _e(e.handle,!0)===`granted`&&n.push(e);if(!n.length)throw new e(`the folders were not allowed to be read: press the button again and allow it`);return this.start(en(n,n.length<t.length))}async kept(){await this.shelf.refresh();let{about:e,photos:t,rows:n}=this.shelf,r=(e?.bytes??0)+4*n.count*n.dim;return{photos:t.length,bytes:t.length?r:0,previews:qt}}async forget(){await this.indexing.ended(),await(await this.shelf.open()).forget(),this.indexing.files.clear(),this.model.forget(),await this.shelf.refresh()}async start(e){return await this.model.about(),navigator.storage?.persist?.().catch(()=>!1),this.indexing.start(e,()=>this.eyes())}async eyes(){let[e,{clip:t}]=[await this.model.about(),await this.model.open()];return{model:e.id,identity:gt(e),background:e=>this.model.background(e),look:(e,n)=>t.look(e,n)}}};async function*$t(e){yield*e}function en(e,t){let n=[];async function*r(){for(let{name:t,handle:r}of e)r&&(yield*he(r,t,e=>n.push(e)))}let i=e.map(({name:e})=>e);return{names:t?i:[],given:r(),whole:i,unread:n,keep:e}}async function tn(e,t){for(let n=1;;n++){let r=n===1?e.name:`${e.name} (${n})`,i=t.find(e=>e.name===r);if(!i||i.handle&&await i.handle.isSameEntry(e))return r}}var nn=`galago-album`,rn=`galago-album`,an=500,on=4e3,sn=2,cn=16,ln=50,un=2e3,dn=()=>({refusal:null,running:!1,number:0,folders:[],stage:null,waiting:!1,done:0,total:0,rate:null,left:null,bad:0,unread:[],stopped:!1,result:null,problem:null,album:[]}),fn=e=>new Promise(t=>setTimeout(t,e)),pn=async()=>((await navigator.locks.query()).held??[]).some(({name:e})=>e===nn),mn=class{shelf;state=dn();stopping=!1;channel=new BroadcastChannel(rn);other=null;firstLook={at:0,count:0};files=new Map;constructor(e){this.shelf=e,this.channel.addEventListener(`message`,({data:e})=>{e.kind===`stop`?this.stopping=this.state.running:this.other={state:e.state,at:Date.now()}})}async look(){let e=(await(await this.shelf.open()).folders()).map(({name:e})=>e);if(!this.state.running&&!this.other?.state.running&&await pn()&&await fn(2*an),this.state.running||this.other===null)return{...this.state,album:e};let{state:t,at:n}=this.other,r=t.running&&Date.now()-n>on&&!await pn();return{...t,album:e,...r&&{running:!1,stopped:!0}}}async stop(){return this.stopping=this.state.running,this.tell({kind:`stop`}),this.look()}async ended(){await this.stop(),await navigator.locks.request(nn,()=>{}),[this.state,this.other]=[dn(),null]}async start(t,n){let r=Promise.withResolvers();if(navigator.locks.request(nn,{ifAvailable:!0},async e=>{if(e===null)return r.resolve(!1);this.other=null,this.state={...dn(),number:this.state.number+1,running:!0,folders:t.names},[this.stopping,this.firstLook]=[!1,{at:0,count:0}],r.resolve(!0),await this.run(t,n)}).catch(r.reject),!await r.promise)throw new e(`indexing is under way already`);return this.look()}async run(e,t){let n=performance.now(),r=setInterval(()=>this.tell({kind:`state`,state:this.state}),an);try{let r=await new hn(this.shelf,e,this.files,()=>this.stopping,e=>this.report(e)).go(t),i=(performance.now()-n)/1e3;r===null?this.state.stopped=!0:this.state.result={...r,seconds:i}}catch(e){this.state.problem=e instanceof Error?e.message:String(e)}clearInterval(r),Object.assign(this.state,{running:!1,rate:null,left:null}),this.tell({kind:`state`,state:this.state})}report(e){let{looked:t,...n}=e;if(Object.assign(this.state,n),t!==void 0){let e=performance.now();this.firstLook.at||(this.firstLook={at:e,count:t});let n=e-this.firstLook.at,r=n>un?1e3*(t-this.firstLook.count)/n:null;this.state.rate=r,this.state.left=r?(this.state.total-this.state.done)/r:null}}tell(e){this.channel.postMessage(e)}},hn=class{shelf;source;files;stopped;report;tally={new:0,known:0,unchanged:0,gone:0};unread=[];bad=0;done=0;looked=0;batch=[];previews=!0;about=null;reach=new Float32Array;next=1;constructor(e,t,n,r,i){this.shelf=e,this.source=t,this.files=n,this.stopped=r,this.report=i}async go(e){let t=await this.listed();if(t===null)return null;this.report({stage:null});let n=await this.shelf.open(),r=await e(),i=await r.background(()=>this.report({stage:`calibrating`}));await this.begin(n,r,i),this.report({total:t.length,stage:`indexing`});for(let e of this.source.keep)await n.keepFolder(e);let a=t.filter(e=>!this.isKnown(e)),o=await this.lookAt(a,r,i,n);return await this.flush(n),await this.shelf.refresh(),o?(await this.leaveGone(n,t),{...this.tally,bad:this.bad,photos:this.shelf.photos.length}):null}async listed(){let e=[];this.report({stage:`looking through folders`,done:0});for await(let t of this.source.given){if(this.stopped())return null;e.push(t),e.length%50==0&&this.report({done:e.length})}for(let e of this.source.unread)this.refuse(e);return this.report({done:0}),e}async begin(e,t,n){let r=await e.about();if(r?.identity!==t.identity){let i=new Float32Array(n.absent.count).fill(-1/0),{model:a,identity:o}=t,s=(r?.epoch??0)+1;await e.begin({model:a,identity:o,dim:n.shown.dim,reach:i,epoch:s,photos:0,bytes:0,previews:0})}this.about=await e.about(),this.reach=this.about?.reach??this.reach,await this.shelf.refresh(),this.next=await e.nextId()}isKnown({file:e,path:t}){let n=Yt(t,e.size,e.lastModified);this.files.set(n,e);let r=this.shelf.byKey(n);return r?.size!==e.size||r.mtime!==e.lastModified?!1:(this.tally.unchanged++,this.report({done:++this.done}),!0)}async lookAt(e,t,n,r){let i=[],a=new Set,o=async()=>{let e=i.shift();e&&(this.note(e.one,await e.seen,a,n),this.batch.length>=cn&&await this.flush(r))};for(let n of e){if(this.stopped())break;let e=this.previews&&(this.about?.previews??0)<256e6,r=t.look(n.file,e);r.catch(()=>{}),i.push({one:n,seen:r}),i.length>=sn&&await o()}for(;i.length;)await o();return!this.stopped()}note({file:e,path:t},n,r,i){if(this.looked++,this.done++,`reason`in n)this.refuse({path:t,reason:n.reason});else{let{vector:a,taken:o,digest:s,thumb:c,preview:l}=n;s!==``&&(r.has(s)||this.shelf.hasContent(s))?this.tally.known++:this.tally.new++,r.add(s),nt(this.reach,a,i);let u={thumb:c.size,preview:l?.size??0},[d,f]=[e.size,e.lastModified],p={id:this.next++,key:Yt(t,d,f),path:t,size:d,mtime:f,taken:o,digest:s,vector:a,...u};this.batch.push({photo:p,pictures:{thumb:c,preview:l}})}this.report({done:this.done,looked:this.looked})}refuse(e){this.bad++,this.unread.length<ln&&this.unread.push(e),this.report({bad:this.bad,unread:this.unread})}async flush(e){let t=this.batch.splice(0);if(!t.length)return;let n=async()=>{this.about=await e.add(t.map(({photo:e})=>e),t.map(({pictures:e})=>e),this.reach)};try{await n().catch(e=>{if(!Jt(e))throw e;this.previews=!1;for(let e of t)e.pictures.preview=null,e.photo.preview=0;return n()})}catch(e){throw Jt(e)?Error(`this browser has no more room for the album: what was looked at before is kept. Make room on the disk, or in the browser's settings for this site, and add the same photos again: it goes on from there`):e}}async leaveGone(e,t){let n=this.source.whole.map(e=>`${e}/`),r=new Set(t.map(({path:e})=>e)),i=e=>n.some(t=>e.startsWith(t)),a=this.source.unread.map(({path:e})=>e),o=e=>a.some(t=>e===t||e.startsWith(`${t}/`)),s=this.shelf.photos.filter(({path:e})=>i(e)&&!r.has(e)&&!o(e));s.length&&(this.about=await e.remove(s),this.tally.gone=s.length,await this.shelf.refresh())}},gn=1e3,_n=512;async function vn(e,t,n,r,i){let a=Math.max(20*n,gn),o=yn(e,t),{places:s,scores:c}=await e.rows.nearest(o,a,r,i),l=rt(e.reach),u=t.filter(({kind:e,wanted:t})=>e===`picture`&&t),d=new Map(u.map(t=>[t,e.background.shown.scores(t.vector)])),f=s.map(n=>{let{strongest:r,match:i}=xn(e,t,n,l,d);return{at:n,score:c[n],match:i,close:i&&it(r)}});return[...f.filter(({match:e})=>e),...f.filter(({match:e})=>!e)]}function yn(e,t){let[n,...r]=t;if(n&&!r.length)return n.vector;let i={words:e.background.shown.mean(),picture:e.rows.mean(bn(e.rows.count))},a=new Float32Array(e.rows.dim);for(let{vector:e,kind:n,wanted:r}of t){let t=e.map((e,t)=>e-i[n][t]),o=(r?1:-.5)/Math.max(Math.hypot(...t),1e-6);t.forEach((e,t)=>a[t]+=o*e)}let o=Math.max(Math.hypot(...a),1e-6);return a.map(e=>e/o)}function bn(e){let t=Math.max(1,Math.floor(e/_n));return Array.from({length:Math.min(_n,Math.ceil(e/t))},(e,n)=>n*t)}function xn({rows:e,background:t},n,r,i,a){let o=e.row(r),s=t.shown.scores(o),c=-1/0,l=!1;for(let t of n){if(!t.wanted)continue;let n=e.score(r,t.vector),o=t.kind===`words`?et(n,s):tt(s,a.get(t));l||=t.kind===`words`?o>=i:o>=.6||n>=.96,c=Math.max(c,o)}return{strongest:c,match:l}}var Sn=1826,Cn=1728e5,S=e=>String(e).padStart(2,`0`),wn=e=>`${String(e.getFullYear()).padStart(4,`0`)}-${S(e.getMonth()+1)}-${S(e.getDate())} ${S(e.getHours())}:${S(e.getMinutes())}:${S(e.getSeconds())}`;function Tn(e){let t=/^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?$/.exec(e.trim());if(!t)return null;let[n,r,i]=[t[1],t[2],t[3]].map(e=>e===void 0?null:Number(e));if(n==null||n<Sn)return null;let a=new Date(n,(r??1)-1,i??1);return a.getMonth()!==(r??1)-1||a.getDate()!==(i??1)?null:i==null?r==null?[a,new Date(n+1,0,1)]:[a,new Date(n,r,1)]:[a,new Date(n,a.getMonth(),i+1)]}function En(e,t){let[n,r]=[e,t].map(e=>e===void 0?void 0:Tn(e)),i=n===null?`since: '${e}'`:r===null?`until: '${t}'`:null;return i===null?n&&n[0].getTime()>Date.now()+Cn?`since ${e} is yet to come: no photo is from then`:n&&r&&n[0]>=r[1]?`until ${t} is before since ${e}`:{since:n?wn(n[0]):null,until:r?wn(r[1]):null}:`${i} is no date: give 2025, 2025-06 or 2025-06-14`}var Dn=`no photo matches; these are merely the nearest`,On=`no photo from there or then was found`,kn=5;function An({text:t,image:n,minus:r,folder:i,since:a,until:o,text_only:s}){if(s)throw new e(`this page reads no text in photos, so it can't look for words that stand there; galago serve can`);let c=i!==void 0||a!==void 0||o!==void 0;if(!t?.trim()&&!n&&(r?.trim()||!c))throw new e(`say what to look for: words or a picture; or folder, since or until`)}async function jn(e,t,n,r,i,a,o){let s=Pn(e,n),c=n.k??12,l=s&&(t=>s(e.photos[t])),u=r.parts.length?await vn(t,r.parts,c,l,o):Fn(e.photos,s),d=[],f=new Set;for(let t of u){if(d.length===c)break;let n=typeof t==`number`?{at:t,score:null,match:!0,close:!1}:t;if(f.has(n.at))continue;let r=e.sameAs(n.at);r.forEach(e=>f.add(e)),d.push(Mn(e,n,r,s))}let p=s!==null,m=d.some(({match:e})=>e),h=[...r.notes,In(i,r.strange,a)];return d.length?m||h.push(Dn):h.push(p?On:Dn),{hits:d,note:h.filter(Boolean).join(`; `)||null,searched_for:r.instead,strange:r.strange}}function Mn(e,t,n,r){let i=n.map(t=>e.photos[t]).sort((e,t)=>e.path<t.path?-1:1),a=i.find(e=>r===null||r(e))??e.photos[t.at];return{score:t.score===null?null:Number(t.score.toFixed(5)),match:t.match,close:t.close,name:a.path.slice(a.path.lastIndexOf(`/`)+1),path:a.path,id:a.id,copies:i.length-1,taken:Nn(a),taken_by:a.taken?`camera`:`file`}}var Nn=({taken:e,mtime:t})=>e||wn(new Date(t));function Pn(t,{folder:n,since:r,until:i}){if(n===void 0&&r===void 0&&i===void 0)return null;let a=En(r,i);if(typeof a==`string`)throw new e(a);let o=n===void 0?``:`${n.replace(/\/+$/,``)}/`;if(o&&!t.photos.some(({path:e})=>e.startsWith(o)))throw new e(`the album has no photo in ${n}`);return e=>{let t=Nn(e);return(a.since===null||t>=a.since)&&(a.until===null||t<a.until)&&e.path.startsWith(o)}}function Fn(e,t){let n=e.map((e,t)=>({at:t,path:e.path,date:Nn(e)})).filter(({at:n})=>t===null||t(e[n]));return n.sort((e,t)=>e.date===t.date?e.path<t.path?-1:1:e.date<t.date?1:-1),n.map(({at:e})=>e)}function In(e,t,n){if(!t.length)return null;let r=t.map(e=>`“${e.length<=40?e:`${e.slice(0,39)}…`}”`),i=`${r.slice(0,kn).join(`, `)} and ${r.length-kn} more`;return`${e} was never taught ${r.length>kn?i:r.join(`, `)}${n?` (it knows ${n})`:``}: what fits there is chance`}var Ln=class{rows=new ot(0);photos=[];about=null;places=new Map;contents=new Map;keys=new Map;reading=null;store=null;open(){return this.store??=Xt.open().catch(e=>{throw this.store=null,e})}refresh(){return this.reading??=this.read().finally(()=>this.reading=null),this.reading}placeOf(e){return this.places.get(e)}photo(e){return this.photos[this.places.get(e)??-1]}byKey(e){return this.keys.get(e)}sameAs(e){let t=this.photos[e]?.digest;return t?this.contents.get(t)??[e]:[e]}hasContent(e){return this.contents.has(e)}folders(){let e=this.photos.map(({path:e})=>e.slice(0,Math.max(0,e.lastIndexOf(`/`))));return[...new Set(e)].filter(Boolean).sort()}async read(){let e=await this.open(),t=await e.about(),n=this.about,r=n!==null&&t!==null&&n.identity===t.identity&&n.epoch===t.epoch;if(r&&t.photos===this.photos.length){this.about=t;return}let i=r?this.rows:new ot(t?.dim??0),a=r?this.photos:[],o=a.length;t&&await e.read((a.at(-1)?.id??0)+1,t.dim,i,a),r||(this.places=new Map,this.contents=new Map,this.keys=new Map);for(let e=o;e<a.length;e++)this.note(a[e],e);[this.rows,this.photos,this.about]=[i,a,t]}note(e,t){if(this.places.set(e.id,t),this.keys.set(e.key,e),!e.digest)return;let n=this.contents.get(e.digest);n?n.push(t):this.contents.set(e.digest,[t])}},Rn=500,zn=`there is no album yet: add photos first`;function Bn(e){let t=new Ln,n=new mn(t),r=new ht(e,()=>t.open()),i=new Vn(t,n,r);return{searchAlbum:(e,t)=>i.search(e,t),sights:(e,t)=>i.sights(e,t),photo:(e,t)=>i.photo(e,t),indexState:()=>n.look(),stopIndex:()=>n.stop(),classify:(e,t)=>i.classify(e,t),info:()=>i.info(),files:new Qt(t,n,r)}}var Vn=class{shelf;indexing;model;constructor(e,t,n){this.shelf=e,this.indexing=t,this.model=n}async info(){try{await this.shelf.refresh()}catch(e){return{album:null,album_problem:`this browser keeps nothing here (${Hn(e)})`}}let{about:e,photos:t}=this.shelf;if(!e||!t.length)return{album:null,album_problem:null};let n=await this.model.about().catch(()=>null);if(!n||gt(n)!==e.identity){let t=n?`${n.id} as it is here`:`none`;return{album:null,album_problem:`it was made by ${e.model}, and the model now is ${t}: add the photos again`}}let r=this.shelf.folders().slice(0,Rn);return{album:{name:``,photos:t.length,model:e.model,folders:r},album_problem:null}}async search(t,n){An(t);let{album:r,album_problem:i}=await this.info();if(r===null)throw new e(i??zn);let a=await this.model.about(),o={rows:this.shelf.rows,background:await this.model.background(),reach:this.shelf.about.reach};n.throwIfAborted();let s=await this.spoken(t,a);return n.throwIfAborted(),jn(this.shelf,o,t,s,a.id,a.knows,n)}async spoken({text:t,image:n,minus:r},i){let a=[t,r].map(e=>e?.trim()??``).flatMap((e,t)=>e?[{words:e,wanted:t===0}]:[]),o=[],s=[],{clip:c}=await this.model.open(),{rows:l,strange:u,cut:d}=a.length?await c.read(a.map(({words:e})=>e)):{rows:new Float32Array,strange:[],cut:[]},f=l.length/Math.max(1,a.length);if(a.forEach(({wanted:e},t)=>o.push({vector:l.slice(t*f,(t+1)*f),kind:`words`,wanted:e})),n){let t=await c.embedPicture(fe(n));if(!(t instanceof Float32Array))throw new e(t.reason);o.push({vector:t,kind:`picture`,wanted:!0})}let p=a.map(({words:e})=>de([e],i.id)).find(e=>e!==null);return p&&s.push(p),d.some(Boolean)&&s.push(`the model reads 77 tokens of a query; the end of yours is left out`),{parts:o,notes:s,strange:a.flatMap(({words:e},t)=>u[t]?[e]:[]),instead:null}}async sights(e,t){await this.shelf.refresh();let n=await this.model.namedWords();return t.throwIfAborted(),[...new Set(e)].flatMap(e=>{let t=this.shelf.placeOf(e);return t===void 0?[]:[{id:e,words:pt(this.shelf.rows.row(t),n).map(e=>this.model.words[e]),day:wn(new Date(this.shelf.photos[t].mtime)).slice(0,10)}]})}async classify(t,n){let r=await this.model.about(),i=[...new Set(n.map(e=>e.split(/\s+/).filter(Boolean).join(` `)))];if(!i.every(e=>e&&e.length<=500))throw new e(`a label must have 1 to 500 characters`);let a=await(await this.model.open()).clip.sort(fe(t),i);if(`reason`in a)throw new e(a.reason);let o=`${r.id} is not sure here: this is probably outside what it was taught`;return{labels:a.labels,doubt:a.doubted?o:null}}async photo(t,n){this.shelf.photo(t)||await this.shelf.refresh();let r=this.shelf.photo(t);if(!r)throw new e(`the album has no such photo`);let i=await this.shelf.open();if(n>320){let e=this.indexing.files.get(r.key)??await this.fromFolder(r.path,await i.folders()),t=e&&await f(e,n).catch(()=>null);if(t)return t}let a=await i.pictures(t),o=n>320?a?.preview??a?.thumb:a?.thumb;if(!o)throw new e(`the photo can't be shown`);return o}async fromFolder(e,t){let n=t.find(({name:t,handle:n})=>n&&e.startsWith(`${t}/`));return n?.handle?ge(n.handle,e):null}},Hn=e=>e instanceof Error?e.message:String(e),Un=`the model is not sure: this is probably outside what it was taught`,Wn=e=>e===`wasm`||e===`webgpu`,Gn=class{key;constructor(e,t){this.key=`galago-device ${t.id} ${e.version} ${e.runtime.version}`}get device(){try{let e=localStorage.getItem(this.key);return Wn(e)?e:null}catch{return null}}set device(e){try{localStorage.setItem(this.key,e)}catch{}}},Kn=class{site;model;onLoading;number=0;known;tried=!1;constructor(e,t,n){this.site=e,this.model=t,this.onLoading=n,this.known=new Gn(e,t)}prepare(){Je().vlm.load(this.setup(),this.onBytes()).catch(()=>{})}async chat(e,t,n){let r=performance.now(),i={text:``,firstToken:0,doubt:null},a=e=>{n.aborted||(i.firstToken||=(performance.now()-r)/1e3,t(e))};n.throwIfAborted();let o=this.number++,s=Je().vlm,{turns:c,shown:l}=Jn(e),u=l.flatMap(e=>typeof e==`string`?[]:[e.data.buffer]),d=this.setup(),{text:f,doubted:p,device:m}=await qn(s.ask(o,d,c,He(l,u),_(a),this.onBytes()),n,()=>void s.cancel(o));return d.known===`webgpu`&&m===`wasm`&&(this.known.device=`wasm`),i.text=f,i.doubt=p?Un:null,this.tryDevice(),i}tryDevice(){this.tried||this.known.device!==null||(this.tried=!0,Je().vlm.tried(this.setup(),this.onBytes()).then(e=>{e!==null&&(this.known.device=e)},()=>{}))}setup(){let{searchParams:e}=new URL(location.href),[t,n]=[e.get(`device`),Number(e.get(`threads`))];return{base:document.baseURI,site:this.site,model:this.model,threads:Math.min(n||1/0,ne()),asked:Wn(t)?t:null,known:this.known.device}}onBytes(){return _((e,t,n)=>this.onLoading({name:this.model.id,done:e,total:t,kept:n}))}};async function qn(t,n,r){return await new Promise((i,a)=>{let o=()=>{r(),a(n.reason)};n.addEventListener(`abort`,o,{once:!0}),t.finally(()=>n.removeEventListener(`abort`,o)).then(i,t=>a(new e(t instanceof Error?t.message:String(t))))})}function Jn(e){let t=[];return{turns:e.map(({role:e,content:n})=>{if(typeof n==`string`)return{role:e,text:n,pictures:0};let r=n.flatMap(e=>e.type===`image_url`?[e.image_url.url]:[]);return t.push(...r.map(e=>typeof e==`string`?e:Yn(e))),{role:e,text:n.flatMap(e=>e.type===`text`?[e.text]:[]).join(`
`),pictures:r.length}}),shown:t}}var Yn=({data:e,width:t,height:n})=>({data:e,width:t,height:n}),C=null,Xn=()=>{},{info:Zn,...Qn}=Bn({site:async()=>C??=await ee(document.baseURI),loading:e=>Xn(e)}),$n=new Map;function er(e,t){let n=$n.get(t.id)??new Kn(e,t,e=>Xn(e));return $n.set(t.id,n),n}var tr=e=>C?.models.find(t=>t.id===e);async function nr(){C=await ee(document.baseURI);let e=tr(C.default);return e&&er(C,e).prepare(),{version:C.version,models:C.models.map(({id:e,kind:t,demo:n,knows:r})=>({id:e,kind:t,demo:n,knows:r})),default:C.default,live:null,presets:e?.presets??[],...await Zn(),remember:null,languages:C.languages}}function rr(t){let n=new OffscreenCanvas(t.videoWidth,t.videoHeight),r=n.getContext(`2d`,{willReadFrequently:!0});if(!r)throw new e(`this browser has no canvas`);return r.drawImage(t,0,0),r.getImageData(0,0,n.width,n.height)}var ir=async(t,n,r,i)=>{let a=tr(t);if(!C||!a)throw new e(`there is no model ${t} here`);return er(C,a).chat(n,r,i)},w={...Qn,here:!0,folders:null,copies:null,models:null,connect:({loading:e})=>void(Xn=e),pageInfo:nr,isAlive:()=>Promise.resolve(!0),frame:rr,chat:ir,keepSeen:()=>Promise.resolve({kept:!1}),forgetSeen:()=>Promise.resolve(0)};function T(e,t){let n=document.getElementById(e);if(!(n instanceof t))throw Error(`#${e} is missing from the page`);return n}function E(e,t={},...n){let r=Object.assign(document.createElement(e),t);return r.append(...n),r}function D(e,{text:t,lang:n}){n&&n!==document.documentElement.lang?e.lang=n:e.removeAttribute(`lang`),e.textContent!==t&&(e.textContent=t)}function ar(e,t,n){let r=URL.createObjectURL(new Blob([t],{type:n}));E(`a`,{href:r,download:e}).click(),setTimeout(()=>URL.revokeObjectURL(r),1e4)}function O(){let e=0;return()=>{let t=++e;return()=>t===e}}var k=e=>new Promise(t=>setTimeout(t,e)),A={skip:`Skip to the content`,nav:`Views`,live:`Live`,picture:`Picture`,album:`Album`,settings:`Settings`,close:`Close`,cancel:`Cancel`,stop:`Stop`,ask:`Ask`,copy:`Copy`,own:`Your question`,"own.hint":`What colour is the door?`,private:`Pictures stay on this computer.`,unsure:`Not sure: this may well be wrong.`,"unsure.short":`not sure`,"language.into":`Into`,"language.of":`Translate into`,"language.unknown":`No language is called so here; the list has those that the model speaks.`,"language.near":`No language is called so here; did you mean {name}?`,"model.demo":`{model} is a small demonstration model and often wrong. It knows {knows}.`,"model.demo.short":`{model} is a small demonstration model and often wrong.`,"model.cannot":`It was not taught {names}.`,"model.language":``,"preset.describe":`Describe`,"preset.brief":`In brief`,"preset.read":`Read`,"preset.count":`Count fingers`,"preset.expression":`Expression`,"preset.translate":`Translate`,"preset.own":`Own question`,"live.title":`What the camera sees`,"live.caption":`Caption`,"live.controls":`Camera`,"live.start":`Start`,"live.pause":`Pause`,"live.once":`One picture`,"live.flip":`Turn camera`,"live.source":`From`,"live.choose":`Choose a video`,"live.speak":`Read aloud`,"live.question":`What to ask`,"live.camera":`Camera`,"live.camera.n":`Camera {n}`,"live.screen":`The screen`,"live.file":`A video file`,"live.ttft":`first token {time} s`,"live.rate":`{rate} frames/s`,"live.model":`{live} looks here, the quickest of the models on this computer; {model} answers elsewhere.`,"state.idle":`Ready when you are`,"state.idle.help":`Press Start, and what the camera sees is put into words.`,"state.starting":`Opening…`,"state.starting.help":`The browser may ask whether this page may use the camera.`,"state.waiting":`Looking…`,"state.slow":`Still looking`,"state.slow.help":`{seconds} s so far`,"state.slow.old":`{seconds} s so far; the words below are of an earlier picture`,"state.lost":`galago does not answer`,"state.lost.help":`So nobody looks at the picture. It goes on by itself as soon as galago answers.`,"state.busy":`The server is busy; trying again in a moment`,"state.paused":`Paused`,"state.ended":`The picture has ended`,"state.ended.help":`Press Start to begin again.`,"state.refused":`The camera was refused`,"state.refused.help":`Allow it for this page in the browser's settings, then press Start. A video file or the screen works without it.`,"state.absent":`No camera was found`,"state.absent.help":`Plug one in and press Start, or choose a video file or the screen.`,"state.taken":`Another program holds the camera`,"state.taken.help":`Close it there, then press Start.`,"state.insecure":`The browser gives no camera to this address`,"state.insecure.help":`Open the page through https or as http://localhost. A video file works here too.`,"state.broken":`This video can't be played`,"state.broken.help":`The browser does not know its format. Try MP4 or WebM.`,"state.failed":`That did not work`,remember:`Remember what the camera sees`,"remember.on":`Remembering`,"remember.help":`While this is on, each new picture, its words and the time are kept in the album, on the computer that runs galago.`,"remember.always":`They stay until they are forgotten.`,"remember.for":`They stay for {time}.`,"remember.kept":`{n} remembered`,"remember.forget":`Forget the last hour`,"remember.forgotten":`{n} scenes were forgotten.`,"remember.forgotten.one":`1 scene was forgotten.`,"remember.none":`There was nothing to forget.`,"remember.failed":`Not remembered: {reason}`,history:`What was seen`,"history.empty":`Captions will be listed here, with their times.`,"history.text":`Save text`,"history.vtt":`Save subtitles`,"history.clear":`Clear`,copied:`Copied`,"copy.failed":`The browser does not allow copying here; save the text instead.`,"picture.title":`Ask about a picture`,"picture.drop":`Drop a picture here, or paste one.`,"picture.choose":`Choose a picture`,"picture.shoot":`Take one`,"picture.ready":`Ready questions`,"picture.chat":`Conversation`,"picture.hint":`What is on the table?`,"picture.shown":`The picture you ask about: {name}`,"picture.pasted":`pasted picture`,"picture.shot":`picture from the camera`,"picture.broken":`{name} is not a picture that the browser can open. Try JPEG, PNG or WebP.`,"picture.first":`Choose a picture first.`,"picture.you":`You`,"picture.stopped":`stopped`,shoot:`Shoot`,"album.title":`Find photos`,"album.none":`There is no album yet. Add a folder of photos here, or with “galago index ~/Pictures”.`,"album.none.here":`There is no album yet. Add photos, or a folder of them: this browser looks at them and keeps what it needs to find them.`,"album.broken":`The album can't be searched: {reason}`,"album.words":`Words`,"album.hint":`a red dress`,"album.find":`Find`,"album.like":`Like a picture…`,"album.liked":`Photos like {name}`,"album.unlike":`Leave it out`,"album.refine":`Refine`,"album.minus":`Rather not this`,"album.folder":`Folder`,"album.anywhere":`Any folder`,"album.since":`Taken since`,"album.until":`Taken until`,"album.text":`Only words that stand in pictures and captions`,"album.filed":`{day} (its file's date)`,"album.first":`Type what the photos should show, or choose a picture, a folder or a date.`,"album.about":`{photos} photos in the album “{name}”, looked at by {model}.`,"album.about.here":`{photos} photos in this browser’s album, looked at by {model}.`,"album.searching":`Searching…`,"album.instead":`Searched for:`,"album.as-is":`Search as typed`,"album.matches":`{n} photos match.`,"album.match":`One photo matches.`,"album.nothing":`No photo matches.`,"album.rest":`The nearest that don't match ({n})`,"album.score":`score {score}`,"album.close":`close match`,"album.possible":`possible match`,"album.unlikely":`unlikely match`,"album.copies":`and {n} copies`,"album.copy":`and one copy`,"album.gone":`This file can't be opened any more.`,"album.shows":`Probably: {words}`,"album.day":`Photo, its file is of {day}`,"photo.ask":`Ask about it`,"photo.like":`Photos like this`,"photo.label":`Label it`,"tab.find":`Search`,"tab.copies":`Copies`,"add.title":`Add photos`,"add.folder":`Folder on this computer`,"add.hint":`~/Pictures`,"add.go":`Add its photos`,"add.again":`Look again at all folders`,"add.note":`Photos are only looked at: they stay where they are, and nothing leaves this computer.`,"add.first":`Name a folder first.`,"add.begun":`Indexing has begun.`,"add.album":`Folders of the album`,"files.title":`Photos on this device`,"files.drop":`Choose photos or a folder, or drop them here.`,"files.photos":`Choose photos`,"files.folder":`Open a folder`,"files.note":`Photos are only looked at: they stay where they are, and nothing leaves this device.`,"files.kept":`Kept in this browser: {n} photos, {size}. That is small pictures, what the model made of them, and larger previews of up to {most} in all.`,"files.forget":`Empty the album`,"files.forget.title":`Empty the album?`,"files.forget.what":`What this browser keeps of the photos is deleted. The photos themselves stay where they are.`,"files.forgotten":`The album is empty.`,choose:`Choose a folder`,"choose.up":`One folder up`,"choose.pictures":`Pictures in this folder: {n}.`,"choose.none":`No further folder in it.`,"choose.more":`It holds more than is shown here.`,"run.title":`Photos from {folder}`,"run.all":`All folders of the album`,"run.all.here":`Photos for the album`,"run.opening":`Opening…`,"run.done":`{done} of {total} files`,"run.rate":`{rate} a second`,"run.note":`It goes on when this page is closed.`,"run.note.here":`It goes on while this page is open; what is done is kept.`,"run.share":`{share} percent are done.`,"run.stopped":`Stopped: {done} of {total} files are done and kept. The same folder goes on from there.`,"run.stopped.here":`Stopped: {done} of {total} files are done and kept. Add the same photos again, and it goes on from there.`,"run.stopped.early":`Stopped.`,"run.photos":`{n} photos in the album`,"run.new":`{n} new`,"run.known":`{n} known by their content`,"run.unchanged":`{n} unchanged`,"run.gone":`{n} gone`,"run.unreadable":`{n} can't be read`,"run.bad":`{n} can't be read`,"run.bad.one":`One can't be read`,"run.bad.more":`and {n} more: galago album --failed`,"run.bad.more.here":`and {n} more`,"time.seconds":`{n} s left`,"time.minutes":`{n} min left`,"time.hours":`{h} h {n} min left`,"copies.heading":`Photos that are there twice`,"copies.note":`Photos of the album are compared with each other. Nothing is deleted: what you mark becomes a list.`,"copies.compare":`Look for copies`,"copies.also":`Also what is merely alike, such as bursts`,"copies.running":`Comparing…`,"copies.stopped":`Stopped.`,"copies.none":`No photo is a copy of another.`,"copies.group":`One group of {photos} photos.`,"copies.groups":`{n} groups of {photos} photos.`,"copies.alike":`Photos like another in other details: {n}.`,"copies.title":`Group {n}: {photos} photos`,"copies.more":`and {n} more, which are not shown here`,"copies.leave":`not needed`,"copies.gone":`Not there any more.`,"copies.taken":`taken {time}`,"copies.saved":`file of {time}`,"copies.most":`largest`,"copies.oldest":`oldest`,"copies.likeness":`{percent} % alike`,"copies.back":`Back`,"copies.on":`Further`,"copies.where":`{from} to {to} of {all}`,"copies.tools":`Marked photos`,"copies.unmarked":`Nothing is marked.`,"copies.marked":`{n} marked, {size}.`,"copies.whole":`Of these groups all photos are marked: {groups}.`,"copies.mark":`Mark all but the largest`,"copies.clear":`Unmark all`,"copies.copy":`Copy paths`,"copies.save":`Save list`,"copies.copy.failed":`The browser does not allow copying here; save the list instead.`,"copies.how":`Copied paths are quoted for a shell, one a line. The saved list has a zero byte after each path, as xargs -0 reads it.`,"labels.title":`Sort a picture by your own labels`,"labels.words":`Labels, with commas between`,"labels.hint":`banana, lemon, mushroom`,"labels.sort":`Sort`,"labels.first":`Choose a picture and type at least two labels.`,"labels.best":`{label}: {share} %`,"labels.unsure":`Not sure: the picture probably shows nothing that the model knows. One label always wins.`,"words.strange":`The model was never taught {words}: what fits there is chance.`,"settings.language":`Language`,"settings.theme":`Appearance`,"settings.contrast":`Contrast`,"settings.speech":`Reading aloud`,"theme.auto":`As the system`,"theme.light":`Light`,"theme.dark":`Dark`,"contrast.more":`High`,"speech.rate":`Speed`,"speech.voice":`Voice`,"speech.auto":`By the language of the text`,"speech.none":`This browser has no voice to read with.`,"speech.try":`Try`,"speech.sample":`This is how captions will sound.`,"key.title":`This server asks for a key`,"key.label":`API key`,"key.note":`It is kept until this tab is closed.`,"key.use":`Use it`,"loading.title":`Loading, once`,"loading.bytes":`{done} of {total}`,"loading.done":`Everything is loaded.`,"loading.kept":`This browser has no room to keep it, so it will be loaded again next time.`,"server.lost":`galago does not answer. Is “galago serve” still running? Trying again…`,"server.back":`galago answers again.`,"server.busy":`The server is busy. Try again in a moment.`},or={skip:`跳到内容`,nav:`视图`,live:`实时`,picture:`图片`,album:`相册`,settings:`设置`,close:`关闭`,cancel:`取消`,stop:`停止`,ask:`提问`,copy:`复制`,own:`你的问题`,"own.hint":`门是什么颜色？`,private:`图片不会离开这台电脑。`,unsure:`没有把握：很可能不对。`,"unsure.short":`没有把握`,"language.into":`译成`,"language.of":`翻译成`,"language.unknown":`没有这种语言；列表里是模型会的语言。`,"language.near":`没有这种语言；你是说{name}吗？`,"model.demo":`{model} 是一个小型演示模型，经常出错。它认识的内容：{knows}。`,"model.demo.short":`{model} 是一个小型演示模型，经常出错。`,"model.cannot":`它没有学过：{names}。`,"model.language":`模型一般用英文回答。`,"preset.describe":`描述`,"preset.brief":`简述`,"preset.read":`读出文字`,"preset.count":`数手指`,"preset.expression":`表情`,"preset.translate":`翻译`,"preset.own":`自己提问`,"live.title":`镜头里有什么`,"live.caption":`说明文字`,"live.controls":`摄像头`,"live.start":`开始`,"live.pause":`暂停`,"live.once":`只看一张`,"live.flip":`切换镜头`,"live.source":`来源`,"live.choose":`选择视频`,"live.speak":`朗读`,"live.question":`想问什么`,"live.camera":`摄像头`,"live.camera.n":`摄像头 {n}`,"live.screen":`屏幕`,"live.file":`视频文件`,"live.ttft":`首字 {time} 秒`,"live.rate":`每秒 {rate} 帧`,"live.model":`这里由 {live} 观看，它是这台电脑上最快的模型；其他地方由 {model} 回答。`,"state.idle":`随时可以开始`,"state.idle.help":`按“开始”，镜头看到的内容会变成文字。`,"state.starting":`正在打开…`,"state.starting.help":`浏览器可能会询问是否允许本页使用摄像头。`,"state.waiting":`正在看…`,"state.slow":`还在看`,"state.slow.help":`已用 {seconds} 秒`,"state.slow.old":`已用 {seconds} 秒；下面的文字说的是之前的画面`,"state.lost":`galago 没有回应`,"state.lost.help":`现在没有人在看画面。galago 一有回应就会自动继续。`,"state.busy":`服务器正忙，稍后会再试`,"state.paused":`已暂停`,"state.ended":`画面已结束`,"state.ended.help":`按“开始”重新来过。`,"state.refused":`摄像头被拒绝`,"state.refused.help":`请在浏览器设置中允许本页使用摄像头，然后按“开始”。视频文件和屏幕不需要摄像头。`,"state.absent":`没有找到摄像头`,"state.absent.help":`请接上摄像头再按“开始”，也可以选择视频文件或屏幕。`,"state.taken":`摄像头正被其他程序占用`,"state.taken.help":`请先在那个程序里关闭它，再按“开始”。`,"state.insecure":`浏览器不允许这个地址使用摄像头`,"state.insecure.help":`请通过 https 或 http://localhost 打开本页。视频文件在这里也能用。`,"state.broken":`无法播放这个视频`,"state.broken.help":`浏览器不认识它的格式。请试试 MP4 或 WebM。`,"state.failed":`没有成功`,remember:`记住摄像头看到的画面`,"remember.on":`正在记住`,"remember.help":`打开期间，每个新画面及其文字和时间会存入运行 galago 的电脑上的相册。`,"remember.always":`它们会一直保留，直到被忘记。`,"remember.for":`它们会保留{time}。`,"remember.kept":`已记住 {n} 个`,"remember.forget":`忘记最近一小时`,"remember.forgotten":`已忘记 {n} 个画面。`,"remember.forgotten.one":`已忘记 1 个画面。`,"remember.none":`没有可忘记的内容。`,"remember.failed":`未能记住：{reason}`,history:`看到过的内容`,"history.empty":`说明文字会连同时间列在这里。`,"history.text":`保存文本`,"history.vtt":`保存字幕`,"history.clear":`清空`,copied:`已复制`,"copy.failed":`浏览器不允许在这里复制，请改为保存文本。`,"picture.title":`就一张图片提问`,"picture.drop":`把图片拖到这里，或直接粘贴。`,"picture.choose":`选择图片`,"picture.shoot":`拍一张`,"picture.ready":`现成的问题`,"picture.chat":`对话`,"picture.hint":`桌上有什么？`,"picture.shown":`正在提问的图片：{name}`,"picture.pasted":`粘贴的图片`,"picture.shot":`摄像头拍的图片`,"picture.broken":`浏览器打不开图片 {name}。请试试 JPEG、PNG 或 WebP。`,"picture.first":`请先选择一张图片。`,"picture.you":`你`,"picture.stopped":`已停止`,shoot:`拍摄`,"album.title":`查找照片`,"album.none":`还没有相册。可以在这里添加一个照片文件夹，也可以运行“galago index ~/Pictures”。`,"album.none.here":`还没有相册。请添加照片或照片文件夹：本浏览器会查看它们，并保留查找所需的内容。`,"album.broken":`无法搜索相册：{reason}`,"album.words":`文字`,"album.hint":`例如：红色连衣裙`,"album.find":`查找`,"album.like":`以图找图…`,"album.liked":`与 {name} 相似的照片`,"album.unlike":`不用它`,"album.refine":`细化`,"album.minus":`不要有`,"album.folder":`文件夹`,"album.anywhere":`所有文件夹`,"album.since":`拍摄日期从`,"album.until":`拍摄日期到`,"album.text":`只找图片里的文字和说明文字`,"album.filed":`{day}（文件日期）`,"album.first":`请输入照片里应有的内容，或选择一张图片、一个文件夹或日期。`,"album.about":`相册“{name}”共有 {photos} 张照片，由 {model} 识别。`,"album.about.here":`本浏览器的相册共有 {photos} 张照片，由 {model} 识别。`,"album.searching":`正在查找…`,"album.instead":`实际搜索：`,"album.as-is":`按原文搜索`,"album.matches":`有 {n} 张照片符合。`,"album.match":`有一张照片符合。`,"album.nothing":`没有符合的照片。`,"album.rest":`最接近但不符合的照片（{n}）`,"album.score":`得分 {score}`,"album.close":`很相符`,"album.possible":`可能相符`,"album.unlikely":`不太相符`,"album.copies":`另有 {n} 份副本`,"album.copy":`另有一份副本`,"album.gone":`这个文件已经打不开了。`,"album.shows":`可能是：{words}`,"album.day":`照片，文件日期为 {day}`,"photo.ask":`就它提问`,"photo.like":`找相似的`,"photo.label":`给它分类`,"tab.find":`搜索`,"tab.copies":`重复照片`,"add.title":`添加照片`,"add.folder":`这台电脑上的文件夹`,"add.hint":`例如 ~/Pictures`,"add.go":`添加其中的照片`,"add.again":`重新查看所有文件夹`,"add.note":`只会查看照片：照片留在原处，任何内容都不会离开这台电脑。`,"add.first":`请先填写一个文件夹。`,"add.begun":`已开始建立索引。`,"add.album":`相册中的文件夹`,"files.title":`这台设备上的照片`,"files.drop":`选择照片或文件夹，或拖放到这里。`,"files.photos":`选择照片`,"files.folder":`打开文件夹`,"files.note":`只会查看照片：照片留在原处，任何内容都不会离开这台设备。`,"files.kept":`本浏览器保留：{n} 张照片，{size}。包括小图、模型得出的数据，以及总共不超过 {most} 的较大预览图。`,"files.forget":`清空相册`,"files.forget.title":`清空相册？`,"files.forget.what":`本浏览器保留的照片数据将被删除。照片本身留在原处。`,"files.forgotten":`相册已清空。`,choose:`选择文件夹`,"choose.up":`上一级文件夹`,"choose.pictures":`这个文件夹里的图片：{n}。`,"choose.none":`里面没有其他文件夹。`,"choose.more":`里面的内容多于此处显示的。`,"run.title":`来自 {folder} 的照片`,"run.all":`相册的所有文件夹`,"run.all.here":`相册的照片`,"run.opening":`正在打开…`,"run.done":`{total} 个文件中的 {done} 个`,"run.rate":`每秒 {rate} 个`,"run.note":`关闭本页后仍会继续。`,"run.note.here":`本页打开时会继续；已完成的会保留。`,"run.share":`已完成百分之 {share}。`,"run.stopped":`已停止：{total} 个文件中的 {done} 个已完成并保留。再次添加同一文件夹即可继续。`,"run.stopped.here":`已停止：{total} 个文件中的 {done} 个已完成并保留。再次添加同样的照片即可继续。`,"run.stopped.early":`已停止。`,"run.photos":`相册中有 {n} 张照片`,"run.new":`新增 {n}`,"run.known":`按内容已知 {n}`,"run.unchanged":`未变 {n}`,"run.gone":`已不在 {n}`,"run.unreadable":`无法读取 {n}`,"run.bad":`{n} 个无法读取`,"run.bad.one":`有一个无法读取`,"run.bad.more":`另有 {n} 个：galago album --failed`,"run.bad.more.here":`另有 {n} 个`,"time.seconds":`还需 {n} 秒`,"time.minutes":`还需 {n} 分钟`,"time.hours":`还需 {h} 小时 {n} 分钟`,"copies.heading":`重复的照片`,"copies.note":`将相册中的照片互相比较。不会删除任何照片：标记的照片会成为一份列表。`,"copies.compare":`查找重复照片`,"copies.also":`也包括只是相似的照片，例如连拍`,"copies.running":`正在比较…`,"copies.stopped":`已停止。`,"copies.none":`没有重复的照片。`,"copies.group":`一组，共 {photos} 张照片。`,"copies.groups":`{n} 组，共 {photos} 张照片。`,"copies.alike":`与其他照片相似但细节不同的照片：{n}。`,"copies.title":`第 {n} 组：{photos} 张照片`,"copies.more":`另有 {n} 张，此处未显示`,"copies.leave":`不需要`,"copies.gone":`已经不在了。`,"copies.taken":`拍摄于 {time}`,"copies.saved":`文件日期 {time}`,"copies.most":`最大`,"copies.oldest":`最早`,"copies.likeness":`相似度 {percent} %`,"copies.back":`上一页`,"copies.on":`下一页`,"copies.where":`第 {from} 至 {to} 组，共 {all} 组`,"copies.tools":`已标记的照片`,"copies.unmarked":`没有标记。`,"copies.marked":`已标记 {n} 张，{size}。`,"copies.whole":`以下各组的照片全部被标记：{groups}。`,"copies.mark":`只留最大的，标记其余`,"copies.clear":`取消全部标记`,"copies.copy":`复制路径`,"copies.save":`保存列表`,"copies.copy.failed":`浏览器不允许在这里复制，请改为保存列表。`,"copies.how":`复制的路径已为命令行加上引号，每行一个。保存的列表在每个路径之后有一个零字节，供 xargs -0 读取。`,"labels.title":`按自己的标签给图片分类`,"labels.words":`标签，用逗号隔开`,"labels.hint":`请用英文，例如 banana, lemon, mushroom`,"labels.sort":`分类`,"labels.first":`请选择一张图片，并输入至少两个标签。`,"labels.best":`{label}：{share} %`,"labels.unsure":`没有把握：图片中很可能没有模型认识的东西，而总会有一个标签胜出。`,"words.strange":`模型没有学过 {words}：结果只是碰巧。`,"settings.language":`语言`,"settings.theme":`外观`,"settings.contrast":`对比度`,"settings.speech":`朗读`,"theme.auto":`跟随系统`,"theme.light":`浅色`,"theme.dark":`深色`,"contrast.more":`高`,"speech.rate":`语速`,"speech.voice":`声音`,"speech.auto":`按文字的语言选择`,"speech.none":`这个浏览器没有可用的朗读声音。`,"speech.try":`试听`,"speech.sample":`说明文字听起来就是这样。`,"key.title":`这台服务器需要密钥`,"key.label":`API 密钥`,"key.note":`关闭本标签页后不再保留。`,"key.use":`使用`,"loading.title":`正在加载（仅此一次）`,"loading.bytes":`{done} / {total}`,"loading.done":`已全部加载。`,"loading.kept":`此浏览器没有空间保存，下次需要重新加载。`,"server.lost":`galago 没有回应。“galago serve”还在运行吗？正在重试…`,"server.back":`galago 又有回应了。`,"server.busy":`服务器正忙，请稍后再试。`},sr={"looking through folders":`正在查看文件夹`,calibrating:`正在校准`,indexing:`正在建立索引`,"folders are looked through and indexed only for the person at this computer, or with the API key of `galago serve --api-key`":"只有坐在这台电脑前的人，或持有 `galago serve --api-key` 密钥的人，才能查看和索引文件夹","it is no picture that this browser can open, or it is damaged":`不是本浏览器能打开的图片，或已损坏`,"it can't be read: it was moved, changed or deleted since it was chosen":`无法读取：选择之后已被移动、更改或删除`,"this browser can't open HEIC pictures: turn it into a JPEG, or use a browser that can (Safari)":`本浏览器无法打开 HEIC 图片：请转成 JPEG，或改用能打开它的浏览器（Safari）`,"this browser has no more room for the album: what was looked at before is kept. Make room on the disk, or in the browser's settings for this site, and add the same photos again: it goes on from there":`本浏览器没有空间存放相册了：之前看过的已保留。请在磁盘上或浏览器对本站的设置中腾出空间，再次添加同样的照片即可继续`,"there is no picture among these files":`这些文件中没有图片`,"this browser can't look at the folders by itself: choose them again":`本浏览器不能自行查看文件夹：请重新选择`,"the folders were not allowed to be read: press the button again and allow it":`未获准读取文件夹：请再次点击按钮并允许`,"the album was emptied meanwhile":`相册已在此期间被清空`,"the model reads 77 tokens of a query; the end of yours is left out":`模型只读查询的前 77 个词元，后面的已略去`,"indexing is under way already":`索引已在进行中`,"comparing is under way already":`比较已在进行中`,"name a whole path, such as ~/Pictures or one from the root of the disk":`请填写完整路径，例如 ~/Pictures，或从磁盘根目录开始`,"short notes, raised fingers, 202 emoji, 195 objects":`短便条、竖起的手指、202 个表情符号、195 种物品`,"no photo from there or then was found":`没有找到该文件夹或该时间的照片。`,"no picture has these words in its text or caption":`没有图片的文字或说明里有这些词。`,dog:`狗`,cat:`猫`,horse:`马`,cow:`牛`,sheep:`羊`,pig:`猪`,bird:`鸟`,parrot:`鹦鹉`,owl:`猫头鹰`,duck:`鸭子`,chicken:`鸡`,fish:`鱼`,butterfly:`蝴蝶`,bee:`蜜蜂`,spider:`蜘蛛`,snake:`蛇`,frog:`青蛙`,turtle:`乌龟`,elephant:`大象`,lion:`狮子`,tiger:`老虎`,monkey:`猴子`,bear:`熊`,deer:`鹿`,rabbit:`兔子`,squirrel:`松鼠`,camel:`骆驼`,kangaroo:`袋鼠`,penguin:`企鹅`,dolphin:`海豚`,crab:`螃蟹`,man:`男人`,woman:`女人`,child:`孩子`,baby:`婴儿`,"group of people":`一群人`,crowd:`人群`,couple:`一对情侣`,"bride and groom":`新郎新娘`,face:`脸`,hand:`手`,beach:`海滩`,sea:`大海`,lake:`湖`,river:`河`,waterfall:`瀑布`,mountain:`山`,snow:`雪`,desert:`沙漠`,forest:`森林`,meadow:`草地`,cave:`洞穴`,cliff:`悬崖`,island:`岛`,clouds:`云`,"blue sky":`蓝天`,sunset:`日落`,rainbow:`彩虹`,fog:`雾`,"night sky with stars":`星空`,moon:`月亮`,"field of wheat":`麦田`,"autumn leaves":`秋叶`,street:`街道`,skyline:`天际线`,"tall building":`高楼`,house:`房子`,castle:`城堡`,church:`教堂`,mosque:`清真寺`,temple:`寺庙`,bridge:`桥`,tower:`塔`,ruin:`废墟`,statue:`雕像`,fountain:`喷泉`,market:`市场`,"shop window":`橱窗`,staircase:`楼梯`,door:`门`,window:`窗户`,graffiti:`涂鸦`,bench:`长椅`,playground:`游乐场`,garden:`花园`,fence:`栅栏`,"construction site":`工地`,factory:`工厂`,harbour:`港口`,lighthouse:`灯塔`,car:`汽车`,bus:`公共汽车`,truck:`卡车`,train:`火车`,tram:`电车`,bicycle:`自行车`,motorcycle:`摩托车`,airplane:`飞机`,helicopter:`直升机`,boat:`小船`,"sailing boat":`帆船`,ship:`轮船`,tractor:`拖拉机`,"railway station":`火车站`,airport:`机场`,"traffic light":`红绿灯`,"road sign":`路牌`,tent:`帐篷`,"food on a plate":`盘中的食物`,bread:`面包`,cake:`蛋糕`,"ice cream":`冰淇淋`,pizza:`披萨`,hamburger:`汉堡`,soup:`汤`,salad:`沙拉`,"fried egg":`煎蛋`,cheese:`奶酪`,meat:`肉`,noodles:`面条`,rice:`米饭`,sushi:`寿司`,chocolate:`巧克力`,"cup of coffee":`一杯咖啡`,"cup of tea":`一杯茶`,"glass of wine":`一杯葡萄酒`,bottle:`瓶子`,beer:`啤酒`,"milk carton":`盒装牛奶`,juice:`果汁`,yoghurt:`酸奶`,apple:`苹果`,"green apple":`青苹果`,banana:`香蕉`,orange:`橙子`,lemon:`柠檬`,lime:`青柠`,pear:`梨`,peach:`桃子`,plum:`李子`,kiwi:`猕猴桃`,mango:`芒果`,melon:`甜瓜`,watermelon:`西瓜`,pineapple:`菠萝`,pomegranate:`石榴`,grapes:`葡萄`,strawberries:`草莓`,avocado:`牛油果`,tomatoes:`番茄`,potatoes:`土豆`,carrots:`胡萝卜`,onions:`洋葱`,garlic:`大蒜`,ginger:`姜`,"bell pepper":`甜椒`,cucumber:`黄瓜`,aubergine:`茄子`,zucchini:`西葫芦`,cabbage:`卷心菜`,leek:`韭葱`,asparagus:`芦笋`,mushrooms:`蘑菇`,beetroot:`甜菜根`,rose:`玫瑰`,tulip:`郁金香`,daisy:`雏菊`,dandelion:`蒲公英`,sunflower:`向日葵`,"potted plant":`盆栽`,tree:`树`,bonsai:`盆景`,cactus:`仙人掌`,kitchen:`厨房`,"living room":`客厅`,bedroom:`卧室`,bathroom:`浴室`,office:`办公室`,classroom:`教室`,library:`图书馆`,restaurant:`餐厅`,bar:`酒吧`,chair:`椅子`,table:`桌子`,bed:`床`,sofa:`沙发`,lamp:`灯`,mirror:`镜子`,clock:`钟`,bookshelf:`书架`,carpet:`地毯`,curtains:`窗帘`,candle:`蜡烛`,"vase with flowers":`插花的花瓶`,fireplace:`壁炉`,sink:`水槽`,refrigerator:`冰箱`,computer:`电脑`,laptop:`笔记本电脑`,keyboard:`键盘`,telephone:`电话`,television:`电视`,camera:`相机`,headphones:`耳机`,microphone:`麦克风`,screenshot:`屏幕截图`,"light bulb":`灯泡`,pen:`笔`,book:`书`,newspaper:`报纸`,letter:`信`,map:`地图`,"sign with words":`有字的牌子`,"page of text":`一页文字`,receipt:`收据`,diagram:`图表`,drawing:`素描`,painting:`绘画`,cartoon:`漫画`,logo:`标志`,shirt:`衬衫`,"t-shirt":`T恤`,dress:`连衣裙`,skirt:`裙子`,trousers:`长裤`,shorts:`短裤`,coat:`大衣`,jacket:`夹克`,shoes:`鞋`,boots:`靴子`,hat:`帽子`,cap:`鸭舌帽`,glasses:`眼镜`,watch:`手表`,ring:`戒指`,necklace:`项链`,handbag:`手提包`,suitcase:`行李箱`,umbrella:`雨伞`,scarf:`围巾`,gloves:`手套`,ball:`球`,"football match":`足球比赛`,skier:`滑雪者`,surfer:`冲浪者`,"chess board":`棋盘`,"playing cards":`扑克牌`,toy:`玩具`,"teddy bear":`泰迪熊`,doll:`娃娃`,kite:`风筝`,balloon:`气球`,fireworks:`烟花`,"Christmas tree":`圣诞树`,guitar:`吉他`,piano:`钢琴`,violin:`小提琴`,drum:`鼓`,saxophone:`萨克斯管`,concert:`音乐会`,knife:`刀`,scissors:`剪刀`,hammer:`锤子`,key:`钥匙`,coin:`硬币`},j={en:{name:`English`,texts:A},zh:{name:`中文`,texts:or}},cr=A,lr=[];function M(e,t={}){return cr[e].replace(/\{(\w+)\}/g,(e,n)=>String(t[n]??e))}var ur={zh:sr},N=e=>({text:e,lang:document.documentElement.lang});function P(e){let t=ur[document.documentElement.lang]?.[e];return t===void 0?{text:e,lang:`en`}:N(t)}var dr=e=>new Intl.ListFormat(document.documentElement.lang,{type:`conjunction`}).format(e),fr=e=>new Intl.DateTimeFormat(document.documentElement.lang===`en`?`en-GB`:document.documentElement.lang,{dateStyle:`long`,timeZone:`UTC`}).format(new Date(e));function pr(e){let[t,n]=[[`day`,86400],[`hour`,3600],[`minute`,60]].find(([,t])=>e%t===0)??[`second`,1],r={style:`unit`,unit:t,unitDisplay:`long`,maximumFractionDigits:0};return new Intl.NumberFormat(document.documentElement.lang,r).format(e/n)}var mr=e=>e in A;function hr(){return navigator.languages.map(e=>e.split(`-`)[0]??``).find(e=>e in j)??`en`}function gr(e){cr=j[e]?.texts??A,document.documentElement.lang=e in j?e:`en`;let t=(e,t)=>{for(let n of document.querySelectorAll(`[${e}]`))t(n,M(n.getAttribute(e)))};t(`data-t`,(e,t)=>e.textContent=t),t(`data-t-label`,(e,t)=>e.setAttribute(`aria-label`,t)),t(`data-t-placeholder`,(e,t)=>e.setAttribute(`placeholder`,t));for(let e of lr)e()}function F(e){lr.push(e),e()}function I(e){return/[\u3040-\u30ff]/.test(e)?`ja`:/[\u4e00-\u9fff]/.test(e)?`zh`:/[\uac00-\ud7af]/.test(e)?`ko`:/[\u0400-\u04ff]/.test(e)?`ru`:/[\u0600-\u06ff]/.test(e)?`ar`:`en`}function L({name:e,code:t}){return new Intl.DisplayNames(document.documentElement.lang,{type:`language`,fallback:`none`}).of(t)??e}var _r=({code:e})=>e===document.documentElement.lang,vr=()=>document.documentElement.lang===`en`?`en-GB`:document.documentElement.lang,R=e=>new Intl.NumberFormat(vr()).format(e);function z(e){let t=[`byte`,`kilobyte`,`megabyte`,`gigabyte`,`terabyte`],n=e<1e3?0:Math.min(t.length-1,Math.floor(Math.log10(e)/3)),r=e/1e3**n,i=n===0||r>=100?0:1,a={style:`unit`,unit:t[n],unitDisplay:`short`,maximumFractionDigits:i};return new Intl.NumberFormat(vr(),a).format(r)}function yr(e){if(e<60)return M(`time.seconds`,{n:Math.max(1,Math.round(e))});let t=Math.round(e/60);return t<60?M(`time.minutes`,{n:t}):M(`time.hours`,{h:Math.floor(t/60),n:t%60})}var br=e=>new Intl.DateTimeFormat(vr(),{dateStyle:`medium`,timeStyle:`short`,timeZone:`UTC`}).format(new Date(`${e.replace(` `,`T`)}Z`)),xr=`galago`,Sr={language:``,theme:`auto`,contrast:`auto`,speak:!1,rate:1,voice:``};function Cr(){try{return{...Sr,...JSON.parse(localStorage.getItem(xr)??`{}`)}}catch{return{...Sr}}}var B=Cr();function V(e){Object.assign(B,e);try{localStorage.setItem(xr,JSON.stringify(B))}catch{}Tr()}var wr=matchMedia(`(prefers-contrast: more)`);wr.addEventListener(`change`,Tr);function Tr(){let e=document.documentElement;e.dataset.theme=B.theme,e.dataset.contrast=B.contrast===`more`||wr.matches?`more`:`auto`}var Er=2500,Dr=()=>T(`said`,HTMLElement),H=null,Or=!1;function U(e,t=document.documentElement.lang){let n=Dr();n.lang=t,n.textContent=``,setTimeout(()=>n.textContent=e,50)}function kr(e,t=!1){H={text:e,unsure:t},Or||Ar()}function Ar(){if(H===null)return;let{text:e,unsure:t}=H;H=null,Or=!0;let n=E(`span`,{lang:I(e)},e);Dr().lang=document.documentElement.lang,Dr().replaceChildren(n,t?` – ${M(`unsure.short`)}`:``),setTimeout(()=>{Or=!1,Ar()},Er)}var W=`speechSynthesis`in window?window.speechSynthesis:null,jr=null,Mr=()=>W?.getVoices()??[];function Nr(e){e(),W?.addEventListener(`voiceschanged`,e)}function Pr(...e){if(!W)return;if(W.speaking||W.pending){jr=e;return}let t=e.map(Fr),n=t.at(-1),r=()=>{let e=jr;jr=null,e!==null&&Pr(...e)};n?.addEventListener(`end`,r),n?.addEventListener(`error`,r);for(let e of t)W.speak(e)}function Fr(e){let t=new SpeechSynthesisUtterance(e),n=I(e),r=Mr().find(e=>e.voiceURI===B.voice),i=Mr().find(e=>e.lang.startsWith(n));return t.voice=r??i??null,t.lang=t.voice?.lang??n,t.rate=B.rate,t}function Ir(){jr=null,W?.cancel()}var Lr=400,Rr=800,G=new Map,zr=0,Br=()=>T(`loading`,HTMLElement),Vr=()=>[...G.values()].map(({state:e})=>e),Hr=()=>Vr().some(({done:e,total:t})=>e<t);function Ur(e){let t=G.get(e.name)??qr(e);t.state=e,Jr(t),T(`loading-kept`,HTMLElement).hidden=Vr().every(({kept:e})=>e),Br().hidden&&Hr()?zr||=setTimeout(Wr,Lr):!Br().hidden&&!Hr()&&(zr||=setTimeout(Gr,Rr))}function Wr(){if(zr=0,!Hr())return G.forEach(Kr);T(`loading-title`,HTMLElement).hidden=T(`loading-list`,HTMLElement).hidden=!1,Br().hidden=!1,U(M(`loading.title`))}function Gr(){zr=0,Hr()||(Br().hidden=Vr().every(({kept:e})=>e),T(`loading-title`,HTMLElement).hidden=T(`loading-list`,HTMLElement).hidden=!0,G.forEach(Kr),U(M(`loading.done`)))}function Kr({state:e,item:t}){t.remove(),G.delete(e.name)}function qr(e){let t=E(`progress`,{ariaLabel:e.name}),n=E(`span`,{className:`soft small-text`}),r=E(`li`,{},E(`span`,{},e.name),t,n),i={state:e,item:r,bar:t,words:n};return G.set(e.name,i),T(`loading-list`,HTMLElement).append(r),i}function Jr({state:e,bar:t,words:n}){t.max=Math.max(1,e.total),t.value=e.done,n.textContent=M(`loading.bytes`,{done:z(e.done),total:z(e.total)})}F(()=>G.forEach(Jr));var Yr=1500,Xr=Promise.withResolvers(),K=null,q=null,Zr=()=>Xr.promise,Qr=[];function $r(e){Qr.push(e),K!==null&&e(K)}function ei(e){let t=T(`banner`,HTMLElement);t.textContent=e??``,t.hidden=e===null}var ti=()=>q??Promise.resolve();function ni(){q??=(async()=>{for(ei(M(`server.lost`));!await w.isAlive();)await k(Yr);K!==null&&await w.pageInfo().then(oi).catch(()=>{}),q=null,ei(null),U(M(`server.back`))})()}var ri=null;function ii(){let e=T(`key`,HTMLDialogElement),t=T(`key-text`,HTMLInputElement);return ri??=new Promise(n=>{t.value=``,e.showModal(),e.addEventListener(`close`,()=>{ri=null,n(t.value.trim())},{once:!0})}),ri}async function ai(){for(w.connect({key:ii,lost:ni,loading:Ur}),T(`key`,HTMLDialogElement).addEventListener(`cancel`,e=>e.preventDefault());K===null;)try{K=await w.pageInfo()}catch(e){q===null&&ei(e instanceof Error?e.message:String(e)),await Promise.all([ti(),k(Yr)])}q===null&&ei(null),Xr.resolve(K),oi(K),F(li)}function oi(e){K=e,T(`version`,HTMLElement).textContent=`galago ${K.version}`,li();for(let e of Qr)e(K)}function J(e){return e instanceof t?N(M(`server.busy`)):e instanceof n?N(M(`server.lost`)):P(e instanceof Error?e.message:String(e))}var Y=()=>K?.default??``,si=()=>K?.live??Y();async function ci(e){return e!==Y()&&(oi(await w.pageInfo()),si()!==e)}function li(){for(let e of document.querySelectorAll(`.model-note`))e.textContent=ui();if(K?.live==null)return;let e={live:K.live,model:Y()};T(`live-note`,HTMLElement).textContent=[M(`live.model`,e),M(`model.language`)].filter(Boolean).join(` `)}function ui(){let e=K?.models.find(e=>e.id===Y()),t=[e?.id??``];e?.demo&&(t[0]=M(e.knows?`model.demo`:`model.demo.short`,{model:e.id,knows:P(e.knows).text}));let n=(K?.presets??[]).filter(e=>!e.possible);return n.length&&t.push(M(`model.cannot`,{names:dr(n.map(({id:e})=>fi(e)))})),t.push(M(`model.language`)),t.filter(Boolean).join(` `)}var di=e=>e.filter(e=>e.possible);function fi(e){let t=`preset.${e}`;return mr(t)?M(t):e}var pi=1e3,mi=.25,hi=class{shown;changed;running;following=O();state=null;told=0;constructor(e,t,n){this.shown=e,this.changed=t,this.running=n,T(`run-note`,HTMLElement).dataset.t=w.here?`run.note.here`:`run.note`,T(`add-stop`,HTMLButtonElement).addEventListener(`click`,()=>void this.stop()),F(()=>{this.state!==null&&this.show(this.state)}),document.addEventListener(`visibilitychange`,()=>{document.visibilityState===`visible`&&this.follow()}),Zr().then(()=>this.follow())}async follow(){let e=this.following();for(;;){try{let t=await w.indexState();if(!e()||(this.show(t),!t.running))return}catch{if(await ti(),!e())return}if(await k(pi),!e())return}}async start(e){let t=null;try{await e()!==null&&(this.told=0,U(M(`add.begun`)),this.follow(),T(`run`,HTMLElement).focus({preventScroll:!1}))}catch(e){t=J(e)}return this.follow(),t}async stop(){T(`add-stop`,HTMLButtonElement).disabled=!0;try{await w.stopIndex()}catch(e){D(T(`run-line`,HTMLElement),J(e))}await this.follow()}show(e){let t=this.state;if(this.state=e,T(`add-refused`,HTMLElement).hidden=e.refusal===null,T(`add-there`,HTMLElement).hidden=e.refusal!==null,e.refusal!==null)return D(T(`add-refused`,HTMLElement),P(e.refusal));let n=e.album.map(e=>E(`li`,{},e));T(`add-album`,HTMLElement).hidden=n.length===0,T(`add-folders`,HTMLElement).replaceChildren(...n),this.showRun(e),this.shown(e),this.running(e.running?gi(e):null);let r=t!==null&&t.running&&!e.running;r&&U(T(`run-line`,HTMLElement).textContent??``),(r||e.running&&_i(t,e))&&this.changed()}showRun(e){let t=T(`run`,HTMLElement);if(t.hidden=e.number===0,e.number===0)return;let n=w.here?`run.all.here`:`run.all`,r=e.folders.length?M(`run.title`,{folder:e.folders.join(`, `)}):M(n);T(`run-title`,HTMLElement).textContent=r;let i=T(`run-bar`,HTMLProgressElement);i.hidden=!e.running,e.running&&e.total?(i.max=e.total,i.value=e.done):i.removeAttribute(`value`);let a=T(`add-stop`,HTMLButtonElement);a.hidden=!e.running,e.running||(a.disabled=!1),T(`run-note`,HTMLElement).hidden=!e.running,D(T(`run-line`,HTMLElement),vi(e)),T(`run-line`,HTMLElement).classList.toggle(`error`,e.problem!==null),this.showUnread(e),this.tellShare(e)}showUnread({bad:e,unread:t}){let n=T(`run-bad`,HTMLDetailsElement);n.hidden=e===0;let r=n.querySelector(`summary`);r&&(r.textContent=e===1?M(`run.bad.one`):M(`run.bad`,{n:R(e)}));let i=t.map(({path:e,reason:t})=>{let n=E(`span`,{className:`soft`});return D(n,P(t)),E(`li`,{},e,`: `,n)});t.length<e&&i.push(E(`li`,{className:`soft`},M(w.here?`run.bad.more.here`:`run.bad.more`,{n:e-t.length}))),T(`run-unread`,HTMLElement).replaceChildren(...i)}tellShare(e){let t=gi(e);!e.running||t<this.told+mi||(this.told=Math.floor(t/mi)*mi,U(M(`run.share`,{share:Math.round(100*t)})))}},gi=({done:e,total:t})=>t?e/t:0,_i=(e,{done:t})=>t>0&&!(e?.done??0);function vi(e){let{result:t,problem:n,done:r,total:i}=e;if(e.running){if(e.waiting)return P(e.stage??``);if(!i)return e.stage===null?N(M(`run.opening`)):yi(e);let t=[M(`run.done`,{done:R(r),total:R(i)})];return e.rate!==null&&t.push(M(`run.rate`,{rate:R(Number(e.rate.toPrecision(2)))})),e.left!==null&&t.push(yr(e.left)),N(t.join(` · `))}return n===null?e.stopped?N(i?M(w.here?`run.stopped.here`:`run.stopped`,{done:R(r),total:R(i)}):M(`run.stopped.early`)):N(t===null?``:[M(`run.photos`,{n:R(t.photos)}),M(`run.new`,{n:R(t.new)}),...t.known?[M(`run.known`,{n:R(t.known)})]:[],...t.unchanged?[M(`run.unchanged`,{n:R(t.unchanged)})]:[],...t.gone?[M(`run.gone`,{n:R(t.gone)})]:[],...t.bad?[M(`run.unreadable`,{n:R(t.bad)})]:[]].join(` · `)):P(n)}function yi({stage:e,done:t}){let n=P(e??``);return t?{...n,text:`${n.text}: ${R(t)}`}:n}var bi=class{files;changed;error=T(`files-error`,HTMLElement);buttons=[`files-open`,`files-again`,`files-forget`].map(e=>T(e,HTMLButtonElement));inputs=[`files-photos`,`files-folder`].map(e=>T(e,HTMLInputElement));run;constructor(e,t,n){this.files=e,this.changed=t,T(`files`,HTMLElement).hidden=!1,T(`files-open`,HTMLElement).hidden=!e.canOpen,T(`files-folder-choose`,HTMLElement).hidden=e.canOpen,this.run=new hi(e=>this.show(e),t,n);for(let t of this.inputs)t.addEventListener(`change`,()=>{let n=[...t.files??[]].map(e=>({file:e,path:e.webkitRelativePath||e.name}));t.value=``,n.length&&this.start(()=>e.add(n))});T(`files-open`,HTMLElement).addEventListener(`click`,()=>void this.start(()=>e.open())),T(`files-again`,HTMLElement).addEventListener(`click`,()=>void this.start(()=>e.again())),this.acceptDrops(T(`files`,HTMLElement)),this.connectForgetting(),F(()=>void this.tellKept())}follow(){return this.run.follow()}focus(){T(`files-photos`,HTMLElement).focus()}async start(e){this.tell(null),this.tell(await this.run.start(e))}tell(e){this.error.hidden=e===null,D(this.error,e??N(``))}show(e){for(let t of[...this.buttons,...this.inputs])t.disabled=e.running;T(`files-again`,HTMLElement).hidden=!this.files.canOpen||e.album.length===0,e.running||this.tellKept()}async tellKept(){let e=await this.files.kept().catch(()=>null);if(T(`files-kept`,HTMLElement).hidden=e===null||e.photos===0,e===null)return;let t={n:R(e.photos),size:z(e.bytes),most:z(e.previews)};T(`files-kept-line`,HTMLElement).textContent=M(`files.kept`,t)}acceptDrops(e){let t=t=>n=>{n.preventDefault(),e.dataset.over=String(t)};e.addEventListener(`dragover`,t(!0)),e.addEventListener(`dragleave`,t(!1)),e.addEventListener(`drop`,e=>{t(!1)(e);let n=[...e.dataTransfer?.items??[]].map(e=>e.webkitGetAsEntry());this.start(async()=>{let e=[];for(let t of n)t&&await xi(t,e);return e.length?this.files.add(e):null})})}connectForgetting(){let e=T(`forget`,HTMLDialogElement);T(`files-forget`,HTMLButtonElement).addEventListener(`click`,()=>e.showModal()),e.addEventListener(`close`,()=>{e.returnValue===`forget`&&(e.returnValue=``,this.forget())})}async forget(){try{await this.files.forget(),U(M(`files.forgotten`))}catch(e){this.tell(J(e))}await this.run.follow(),this.changed(),this.focus()}};async function xi(e,t){let n=e.fullPath.replace(/^\//,``);if(e.isFile){let r=await new Promise((t,n)=>e.file(t,n));t.push({file:r,path:n});return}let r=e.createReader();for(;;){let e=await new Promise((e,t)=>r.readEntries(e,t));if(!e.length)return;for(let n of e)await xi(n,t)}}var Si=class{words=T(`labels-text`,HTMLInputElement);said=T(`labels-said`,HTMLElement);begin=O();picture=null;constructor(){let e=T(`labels-file`,HTMLInputElement);e.addEventListener(`change`,()=>{e.files?.[0]&&this.take(e.files[0],e.files[0].name),e.value=``}),T(`classify`,HTMLFormElement).addEventListener(`submit`,e=>{e.preventDefault(),this.sort()})}async take(e,t){let n=this.begin(),r=T(`labels-shown`,HTMLImageElement);try{let r=await m(e,t);if(!n())return;this.picture=r}catch(e){if(!(e instanceof a))throw e;n()&&(this.said.textContent=M(`picture.broken`,{name:t}));return}r.src=this.picture.data,r.alt=t,r.hidden=!1,T(`shares`,HTMLElement).replaceChildren(),this.said.textContent=``,this.words.focus(),this.labels().length>1&&await this.sort()}labels(){let e=this.words.value.split(/[,;\n，、；]/).map(e=>e.trim());return[...new Set(e.filter(Boolean))]}async sort(){let e=this.labels();if(!this.picture||e.length<2){this.said.textContent=M(`labels.first`);return}let t=this.begin();try{let{labels:n,doubt:r}=await w.classify(this.picture.data,e);if(!t())return;let i=n[0];i&&D(this.said,N(M(`labels.best`,{label:i.label,share:wi(i.share)})));let a=n.filter(e=>e.strange).map(e=>e.label);r!==null&&this.said.append(` `,Ci(M(`labels.unsure`))),a.length&&this.said.append(` `,Ci(M(`words.strange`,{words:dr(a)}))),T(`shares`,HTMLElement).replaceChildren(...n.map(Ti))}catch(e){t()&&D(this.said,J(e))}}},Ci=e=>E(`span`,{className:`unsure`},e),wi=e=>(100*e).toFixed(+(e<.1));function Ti({label:e,share:t}){let n=E(`meter`,{min:0,max:1,value:t});return n.setAttribute(`aria-label`,e),E(`li`,{},E(`span`,{},e),n,E(`span`,{},`${wi(t)} %`))}var Ei=class{input;languages=[];chosen=null;constructor(e,t=()=>{}){this.input=T(e,HTMLInputElement),this.input.addEventListener(`focus`,()=>this.input.select()),this.input.addEventListener(`input`,()=>this.input.setCustomValidity(``)),this.input.addEventListener(`change`,()=>{let e=this.chosen;this.read()&&this.chosen!==e&&t()})}fill(e){this.languages=e;let t=e.map(e=>E(`option`,{value:L(e)},`${e.called[0]} (${e.code})`));this.input.list?.replaceChildren(...t),this.chosen=e.find(({code:e})=>e===this.chosen?.code)??e.find(_r)??e[0]??null,this.chosen&&(this.input.value=L(this.chosen))}read(){let e=Oi(this.input.value),t=this.languages.find(t=>Di(t).includes(e));return this.input.setCustomValidity(t||!this.languages.length?``:this.unknown(e)),t?(this.chosen=t,t):(this.input.reportValidity(),null)}get last(){return this.chosen}unknown(e){let t=t=>Math.min(...Di(t).map(t=>ki(e,t))),[n]=[...this.languages].sort((e,n)=>t(e)-t(n));return!n||t(n)>Math.max(1,e.length/3)?M(`language.unknown`):M(`language.near`,{name:L(n)})}},Di=e=>[e.name,e.code,L(e),...e.called].map(Oi),Oi=e=>e.trim().toLowerCase().normalize(`NFKD`).replace(/[\u0300-\u036f]/g,``).normalize(`NFC`).replaceAll(`_`,`-`);function ki(e,t){let n=[...t,``].map((e,t)=>t);return[...e].forEach((e,r)=>{let i=[r+1];[...t].forEach((t,r)=>{i.push(Math.min((n[r]??0)+Number(e!==t),(n[r+1]??0)+1,(i[r]??0)+1))}),n=i}),n[n.length-1]??0}var X=class extends Error{reason;words;constructor(e,t=``){super(t||e),this.reason=e,this.words=t}},Ai={NotAllowedError:`refused`,SecurityError:`refused`,NotFoundError:`absent`,OverconstrainedError:`absent`,NotSupportedError:`absent`,NotReadableError:`taken`,AbortError:`taken`},ji=()=>{if(!(`mediaDevices`in navigator))throw new X(`insecure`);return navigator.mediaDevices};async function Mi(e){try{return await e()}catch(e){if(e instanceof X)throw e;let t=Ai[e instanceof Object&&`name`in e?String(e.name):``];throw t?new X(t):new X(`failed`,String(e))}}var Ni={width:{ideal:1280},height:{ideal:960}};function Pi(e,t){let n=e?{deviceId:{exact:e}}:{facingMode:{ideal:t}};return Mi(()=>ji().getUserMedia({video:{...Ni,...n},audio:!1}))}var Fi=()=>Mi(()=>ji().getDisplayMedia({video:!0,audio:!1}));async function Ii(){return`mediaDevices`in navigator?(await navigator.mediaDevices.enumerateDevices()).filter(e=>e.kind===`videoinput`):[]}async function Li(e){let t=(await Ii()).filter(e=>e.deviceId),n=e.value,r=t.map((e,t)=>{let n=e.label||M(`live.camera.n`,{n:t+1});return E(`option`,{value:e.deviceId},n)});return r.length||r.push(E(`option`,{value:``},M(`live.camera`))),Ri()&&r.push(E(`option`,{value:`screen`},M(`live.screen`))),r.push(E(`option`,{value:`file`},M(`live.file`))),e.replaceChildren(...r),r.some(e=>e.value===n)&&(e.value=n),t.length}var Ri=()=>`mediaDevices`in navigator&&`getDisplayMedia`in navigator.mediaDevices;async function zi(e,t){Vi(e),t instanceof MediaStream?e.srcObject=t:e.src=URL.createObjectURL(t);try{await e.play()}catch(e){throw e instanceof DOMException&&e.name===`AbortError`?e:new X(`broken`)}}function Bi(e){for(let t of e.getTracks())t.stop()}function Vi(e){e.srcObject instanceof MediaStream&&Bi(e.srcObject),e.srcObject=null,e.src&&(URL.revokeObjectURL(e.src),e.removeAttribute(`src`))}async function Hi(e){let t;for(;e();)(!t||t.released)&&document.visibilityState===`visible`&&(t=await navigator.wakeLock?.request(`screen`).catch(()=>null)),await k(1e3);await t?.release()}var Ui=e=>{let t=document.createElement(`canvas`);return t.width=e.videoWidth,t.height=e.videoHeight,t.getContext(`2d`)?.drawImage(e,0,0),new Promise(e=>t.toBlob(e,`image/jpeg`,.92))};async function Wi(){let e=T(`shooting`,HTMLDialogElement),t=T(`shooting-video`,HTMLVideoElement),n=T(`shooting-go`,HTMLButtonElement),r=T(`shooting-error`,HTMLElement);r.hidden=!0,n.disabled=!0,e.showModal();let i=new Promise(r=>{n.onclick=()=>void Ui(t).then(r),T(`shooting-cancel`,HTMLButtonElement).onclick=()=>r(null),e.onclose=()=>r(null)}),a=!1;(async()=>{try{let e=await Pi(``,`environment`);if(a)return Bi(e);await zi(t,e),n.disabled=!1,n.focus()}catch(e){if(a)return;let t=`state.${e instanceof X?e.reason:`failed`}`,n=`${t}.help`;r.textContent=[t,n].filter(mr).map(e=>M(e)).join(`. `),r.hidden=!1}})();let o=await i;return a=!0,Vi(t),e.close(),o}var Gi=class{drop=T(`drop`,HTMLElement);shown=T(`shown`,HTMLImageElement);log=T(`chat`,HTMLElement);text=T(`ask-text`,HTMLInputElement);language=new Ei(`picture-language`);presets=[];languages=[];picture=null;turns=[];taking=O();asking=null;scrolled=[0,0];constructor(){let e=T(`picture-file`,HTMLInputElement);e.addEventListener(`change`,()=>{e.files?.[0]&&this.take(e.files[0]),e.value=``}),T(`shoot`,HTMLButtonElement).addEventListener(`click`,()=>void this.shoot()),T(`ask-stop`,HTMLButtonElement).addEventListener(`click`,()=>this.asking?.abort()),T(`ask`,HTMLFormElement).addEventListener(`submit`,e=>{e.preventDefault();let t=this.text.value.trim();if(!t)return this.text.focus();this.text.value=``,this.ask(t,t)}),this.acceptDrops(),$r(({presets:e,languages:t})=>{this.presets=di(e),this.languages=t,this.showPresets()}),F(()=>{this.showPresets(),this.picture&&(this.shown.alt=M(`picture.shown`,{name:this.picture.name}))})}async take(e,t=e instanceof File?e.name:M(`picture.pasted`)){let n=this.taking(),r=T(`drop-error`,HTMLElement);r.hidden=!0;let i;try{if(i=await m(e,t),!n())return}catch(e){if(!(e instanceof a))throw e;if(!n())return;r.textContent=M(`picture.broken`,{name:t}),r.hidden=!1;return}this.picture=i,this.asking?.abort(),this.asking=null,this.setBusy(!1),this.turns=[],this.log.replaceChildren(),this.shown.src=i.data,this.shown.alt=M(`picture.shown`,{name:t}),this.shown.hidden=!1,this.drop.dataset.full=`true`,U(this.shown.alt)}acceptDrops(){let e=T(`view-picture`,HTMLElement),t=e=>t=>{t.preventDefault(),this.drop.dataset.over=String(e)};e.addEventListener(`dragover`,t(!0)),e.addEventListener(`dragleave`,t(!1)),e.addEventListener(`drop`,e=>{t(!1)(e);let n=h(e.dataTransfer);n&&this.take(n)}),document.addEventListener(`paste`,t=>{let n=e.hidden?null:h(t.clipboardData);n&&this.take(n,M(`picture.pasted`))})}async shoot(){let e=await Wi();e&&await this.take(e,M(`picture.shot`))}showPresets(){this.language.fill(this.languages),T(`picture-language-field`,HTMLElement).hidden=!this.presets.some(({id:e})=>e===`translate`);let e=this.presets.map(({id:e,prompt:t})=>{let n=E(`button`,{type:`button`},fi(e));return n.addEventListener(`click`,()=>{let n=e===`translate`?this.language.read():null;if(e===`translate`&&!n)return;let r=t.replace(`{language}`,n?.name??``),i=n?` → ${L(n)}`:``;this.turns=[],this.ask(r,fi(e)+i)}),n});T(`asks`,HTMLElement).replaceChildren(...e)}async ask(e,t){if(!this.picture){U(M(`picture.first`));let e=T(`drop-error`,HTMLElement);return e.textContent=M(`picture.first`),e.hidden=!1,T(`picture-file`,HTMLInputElement).focus()}this.asking?.abort();let n=this.asking=new AbortController,a=this.turns.length?{role:`user`,content:e}:i(this.picture.data,e),o=[...this.turns,a],s=this.addTurn(t);this.setBusy(!0);try{let e=await w.chat(Y(),o,e=>this.showText(s,e),n.signal);this.turns=[...o,{role:`assistant`,content:e.text}];let t=e.doubt!==null,r=M(`live.ttft`,{time:e.firstToken.toFixed(2)});this.follow(s,()=>{t&&s.after(Ki()),s.after(E(`p`,{className:`soft small-text`},r))}),kr(e.text,t),B.speak&&Pr(e.text,...t?[M(`unsure.short`)]:[])}catch(e){let t=r(e)?N(M(`picture.stopped`)):J(e),i=E(`p`,{className:r(e)?`soft`:`error`});D(i,t),this.follow(s,()=>s.after(i)),this.asking===n&&U(t.text,t.lang)}finally{s.removeAttribute(`aria-busy`),this.asking===n&&this.setBusy(!1)}}addTurn(e){let t=E(`p`,{className:`answer`});t.setAttribute(`aria-busy`,`true`);let n=E(`span`,{className:`hidden-text`},`${M(`picture.you`)}: `);return this.log.append(E(`div`,{className:`you`},E(`p`,{},n,e)),E(`div`,{className:`galago`},t)),this.reveal(t),t}showText(e,t){this.follow(e,()=>{e.textContent=t,e.lang=I(t)})}follow(e,t){let[n,r]=this.scrolled,i=scrollY>=n-1&&this.log.scrollTop>=r-1;t(),i&&this.reveal(e)}reveal(e){e.parentElement?.scrollIntoView({block:`nearest`}),this.scrolled=[scrollY,this.log.scrollTop]}setBusy(e){T(`ask-stop`,HTMLElement).hidden=!e}};function Ki(){let e=E(`p`,{className:`unsure`},M(`unsure`));return e.dataset.t=`unsure`,e}var qi=class{folder=T(`find-folder`,HTMLSelectElement);since=T(`find-since`,HTMLInputElement);until=T(`find-until`,HTMLInputElement);text=T(`find-text-only`,HTMLInputElement);folders=[];constructor(){T(`find-text-field`,HTMLElement).hidden=w.here,F(()=>this.offer(this.folders))}offer(e){this.folders=e;let t=this.folder.value,n=E(`option`,{value:``},M(`album.anywhere`)),r=Ji(e),i=e.map(e=>E(`option`,{value:e},e.slice(r)||e));this.folder.replaceChildren(n,...i),this.folder.value=e.includes(t)?t:``}value(){return{...this.folder.value&&{folder:this.folder.value},...this.since.value&&{since:this.since.value},...this.until.value&&{until:this.until.value},...this.text.checked&&{text_only:!0}}}};function Ji(e){let[t=``,...n]=e;if(!n.length)return 0;let r=0;for(let e=0;e<t.length&&n.every(n=>n[e]===t[e]);e++)(t[e]===`/`||t[e]===`\\`)&&(r=e+1);return r}var Yi=24,Xi=320,Zi=1024,Qi=`no photo matches; these are merely the nearest`,$i=class{pictureView;labels;said=T(`found`,HTMLElement);dialog=T(`photo`,HTMLDialogElement);like=null;searching=null;typed=null;album=null;problem=null;urls=[];images=new Map;seen=[];where=new qi;choosing=O();opening=O();actions=[`photo-ask`,`photo-like`,`photo-label`].map(e=>T(e,HTMLButtonElement));opened=null;constructor(e,t){this.pictureView=e,this.labels=t,T(`find`,HTMLFormElement).addEventListener(`submit`,e=>{e.preventDefault(),this.search()});let n=T(`find-file`,HTMLInputElement);n.addEventListener(`change`,()=>{n.files?.[0]&&this.findLike(n.files[0],n.files[0].name),n.value=``}),T(`as-is`,HTMLButtonElement).addEventListener(`click`,()=>{this.typed&&this.find({...this.typed,as_is:!0}),T(`find-text`,HTMLInputElement).focus()}),T(`like-drop`,HTMLButtonElement).addEventListener(`click`,()=>this.setLike(null)),this.acceptDrops(),this.connectDialog(),Zr().then(e=>{this.take(e),F(()=>{this.introduce();for(let e of this.seen)this.describe(e)})})}async refresh(){await Zr(),this.take(await w.pageInfo()),this.introduce()}take({album:e,album_problem:t}){this.album=e,this.problem=t,this.where.offer(e?.folders??[])}introduce(){T(`album-missing`,HTMLElement).hidden=this.album!==null,T(`album-there`,HTMLElement).hidden=this.album===null;let e=M(w.here?`album.none.here`:`album.none`),t=this.problem===null?e:M(`album.broken`,{reason:this.problem});if(this.album===null)T(`album-none`,HTMLElement).textContent=t;else if(!this.searching){let{name:e,photos:t,model:n}=this.album;D(this.said,N(M(w.here?`album.about.here`:`album.about`,{name:e,photos:t,model:n})))}}acceptDrops(){let e=T(`find`,HTMLFormElement);e.addEventListener(`dragover`,e=>e.preventDefault()),e.addEventListener(`drop`,e=>{e.preventDefault();let t=h(e.dataTransfer);t&&this.findLike(t,t.name)})}async findLike(e,t){let n=this.choosing();try{let r=await m(e,t);if(!n())return;this.setLike(r)}catch(e){if(!(e instanceof a))throw e;n()&&(this.said.textContent=M(`picture.broken`,{name:t}));return}await this.search()}setLike(e){this.like=e;let t=T(`like`,HTMLElement);t.hidden=e===null,T(`like-shown`,HTMLImageElement).src=e?.data??``;let n=t.querySelector(`span`);n&&(n.textContent=e?M(`album.liked`,{name:e.name}):``),e===null&&T(`find-text`,HTMLInputElement).focus()}async search(){let e=e=>T(e,HTMLInputElement).value.trim(),[t,n]=[e(`find-text`),e(`find-minus`)],r=this.like?.data,{text_only:i,...a}=this.where.value(),o=Object.keys(a).length>0&&!n&&!i;if(!t&&!r&&!o)return this.said.textContent=M(`album.first`),T(`find-text`,HTMLInputElement).focus();await this.find({...t&&{text:t},...r&&{image:r},...n&&{minus:n},...a,...i&&{text_only:i},k:Yi})}async find(e){this.searching?.abort();let t=this.searching=new AbortController;this.said.textContent=M(`album.searching`),this.showInstead(null),this.typed=e;try{this.show(await w.searchAlbum(e,t.signal),t.signal)}catch(e){if(r(e))return;D(this.said,J(e))}}show(e,t){for(let e of this.urls.splice(0))URL.revokeObjectURL(e);let n=e.hits.filter(e=>e.match),r=e.hits.filter(e=>!e.match),i=n.length,a=i===1?M(`album.match`):M(`album.matches`,{n:i});D(this.said,N(i?a:M(`album.nothing`))),this.showInstead(e.searched_for??null);let o=e.strange??[];if(o.length){let e=E(`span`,{className:`unsure`});D(e,N(M(`words.strange`,{words:dr(o)}))),this.said.append(` `,e)}else if(e.note&&e.note!==Qi){let t=E(`span`);D(t,P(e.note)),this.said.append(` `,t)}this.images=new Map,this.seen=[],T(`hits`,HTMLElement).replaceChildren(...n.map(e=>this.tile(e,t)));let s=T(`rest`,HTMLDetailsElement);s.hidden=r.length===0,s.open=!1;let c=s.querySelector(`summary`);c&&(c.textContent=M(`album.rest`,{n:r.length})),T(`rest-hits`,HTMLElement).replaceChildren(...r.map(e=>this.tile(e,t))),this.putIntoWords(t)}showInstead(e){T(`instead`,HTMLElement).hidden=e===null,T(`instead-words`,HTMLElement).textContent=e??``}async putIntoWords(e){if(this.images.size){try{this.seen=await w.sights([...this.images.keys()],e)}catch{return}for(let e of this.seen)this.describe(e)}}describe(e){let t=this.images.get(e.id);if(!t)return;let{text:n,lang:r}=na(e);t.alt=n,t.lang=r}tile(n,r){let i=E(`img`,{alt:``,width:Xi,height:Xi});this.images.set(n.id,i);let a=E(`span`,{className:`name`},n.caption&&n.taken?n.taken:n.name);n.caption&&a.append(`: `,E(`span`,{lang:I(n.caption)},n.caption));let o=E(`button`,{type:`button`,className:`tile`},i,` `,a,` `,ea(n));if(n.text&&n.text_kind!==`caption`&&o.append(` `,E(`q`,{className:`soft text`},n.text)),n.copies){let e=n.copies===1?M(`album.copy`):M(`album.copies`,{n:n.copies});o.append(` `,E(`span`,{className:`soft`},e))}return o.addEventListener(`click`,()=>void this.open(n)),w.photo(n.id,Xi,r).then(e=>i.src=this.url(e)).catch(n=>{i.classList.add(`gone`),n instanceof e&&!(n instanceof t)&&o.append(` `,E(`span`,{className:`error`},M(`album.gone`)))}),E(`li`,{},o)}url(e){let t=URL.createObjectURL(e);return this.urls.push(t),t}async open(e){let t=T(`photo-shown`,HTMLImageElement);T(`photo-name`,HTMLElement).textContent=e.name,D(T(`photo-path`,HTMLElement),N(e.path)),t.removeAttribute(`src`),t.hidden=!0;let n=this.images.get(e.id);[t.alt,t.lang]=[n?.alt??``,n?.lang??``],this.setOpened(null),this.dialog.showModal();let r=this.opening();try{let n=await w.photo(e.id,Zi);if(!r())return;t.src=URL.createObjectURL(n),t.hidden=!1,this.setOpened({blob:n,name:e.name,url:t.src})}catch(e){r()&&D(T(`photo-path`,HTMLElement),J(e))}}setOpened(e){this.opened&&URL.revokeObjectURL(this.opened.url),this.opened=e;for(let t of this.actions)t.disabled=e===null}connectDialog(){let e=(e,t)=>T(e,HTMLButtonElement).addEventListener(`click`,()=>{this.dialog.close(),this.opened&&t(this.opened.blob,this.opened.name)});e(`photo-close`,()=>{}),e(`photo-like`,(e,t)=>void this.findLike(e,t)),e(`photo-label`,(e,t)=>void this.labels.take(e,t)),e(`photo-ask`,(e,t)=>{location.hash=`#picture`,this.pictureView.take(e,t)})}};function ea(e){if(e.score!==null)return E(`span`,{className:`soft`,title:M(`album.score`,{score:e.score.toFixed(3)})},M(ta(e)));let t=e.taken?fr(e.taken.slice(0,10)):``;return E(`span`,{className:`soft`},e.taken_by===`file`?M(`album.filed`,{day:t}):t)}var ta=({match:e,close:t})=>t?`album.close`:e?`album.possible`:`album.unlikely`;function na({words:e,day:t}){if(!e.length)return N(t===null?``:M(`album.day`,{day:fr(t)}));let n=e.map(P),r=n.find(({lang:e})=>e!==document.documentElement.lang);return r?{text:`Probably: ${e.join(`, `)}`,lang:r.lang}:N(M(`album.shows`,{words:dr(n.map(({text:e})=>e))}))}var ra=/[\u0000-\u001f\u007f\ud800-\udfff]/,ia=/[\udc80-\udcff]/;function aa(e){let t=[];for(let n of e){let e=n.charCodeAt(0);n.length===1&&ia.test(n)?t.push(e&255):t.push(...new TextEncoder().encode(n))}return Uint8Array.from(t)}function oa(e){let t=e.map(aa),n=new Uint8Array(t.reduce((e,t)=>e+t.length+1,0)),r=0;for(let e of t)n.set(e,r),r+=e.length+1;return n}function sa(e){if(/^([A-Za-z]:[\\/]|\\\\)/.test(e))return`"${e}"`;if(![...e].some(e=>e.length===1&&ra.test(e)))return`'${e.replaceAll(`'`,`'\\''`)}'`;let t=[...aa(e)],n=e=>e>=32&&e<127&&e!==39&&e!==92;return`$'${t.map(e=>n(e)?String.fromCharCode(e):`\\${e.toString(8).padStart(3,`0`)}`).join(``)}'`}var Z=12,ca=320,la=700,ua=class{found;said=T(`copies-said`,HTMLElement);following=O();state=null;first=0;urls=[];loading=new AbortController;marked=new Map;sizes=new Map;constructor(e){this.found=e;let t=(e,t)=>T(e,HTMLButtonElement).addEventListener(`click`,t);t(`compare`,()=>void this.start()),t(`compare-stop`,()=>void this.found.stopComparing().then(()=>this.follow(),()=>{})),t(`copies-back`,()=>this.turn(-12)),t(`copies-on`,()=>this.turn(Z)),t(`copies-mark`,()=>this.markSmaller()),t(`copies-unmark`,()=>this.unmark()),t(`copies-copy`,()=>void this.copy()),t(`copies-save`,()=>ar(`galago-not-needed.lst`,oa(this.paths()),`application/octet-stream`)),F(()=>{this.state!==null&&this.show(this.state)})}open(){this.follow()}async start(){this.first=0,this.unmark();try{await this.found.compare(T(`compare-alike`,HTMLInputElement).checked)}catch(e){D(this.said,J(e));return}await this.follow()}async follow(){let e=this.following(),t=!1;for(;;){try{let n=await this.found.copiesFound(this.first,Z);if(!e()||(this.show(n),!n.running&&t&&U(this.said.textContent??``),!n.running))return;t=!0}catch{if(await ti(),!e())return}if(await k(la),!e())return}}turn(e){this.first=Math.max(0,this.first+e),T(`copies-title`,HTMLElement).focus(),this.follow()}show(e){(this.state===null||this.state.number!==e.number)&&this.forgetMarks(),this.state=e,T(`compare`,HTMLButtonElement).disabled=e.running,T(`compare-stop`,HTMLElement).hidden=!e.running;let t=T(`compare-bar`,HTMLProgressElement);t.hidden=!e.running,t.value=e.share,this.introduce(e);for(let e of this.urls.splice(0))URL.revokeObjectURL(e);this.loading.abort(),this.loading=new AbortController;let n=e.groups.map((t,n)=>this.group(t,e.first+n));T(`copies`,HTMLElement).replaceChildren(...n);let r=e.count>Z;T(`copies-turn`,HTMLElement).hidden=!r,T(`copies-back`,HTMLButtonElement).disabled=e.first===0,T(`copies-on`,HTMLButtonElement).disabled=e.first+Z>=e.count;let i=Math.min(e.count,e.first+Z);T(`copies-where`,HTMLElement).textContent=M(`copies.where`,{from:R(e.first+1),to:R(i),all:R(e.count)});for(let t of[`copies-marks`,`copies-tools`,`copies-how`])T(t,HTMLElement).hidden=e.count===0;this.showMarks()}introduce(e){if(e.running)return D(this.said,N(M(`copies.running`)));if(e.problem!==null)return D(this.said,P(e.problem));if(e.stopped)return D(this.said,N(M(`copies.stopped`)));if(!e.found)return D(this.said,N(``));let t=e.count===1?M(`copies.group`,{photos:R(e.photos)}):M(`copies.groups`,{n:R(e.count),photos:R(e.photos)}),n=[e.count?t:M(`copies.none`)];if(e.alike&&n.push(M(`copies.alike`,{n:R(e.alike)})),D(this.said,N(n.join(` `))),e.note===null)return;let r=E(`span`);D(r,P(e.note)),this.said.append(` `,r)}group(e,t){this.sizes.set(t,e.photos.filter(({gone:e})=>!e).length+e.more);let n=E(`ul`,{className:`grid`},...e.photos.map(e=>this.photo(e,t))),r=E(`li`,{className:`card group`},E(`h3`,{},M(`copies.title`,{n:t+1,photos:e.photos.length+e.more})),n);return e.more&&r.append(E(`p`,{className:`soft`},M(`copies.more`,{n:e.more}))),r}photo(e,t){let n=E(`img`,{alt:``,width:ca,height:ca}),r=E(`input`,{type:`checkbox`,checked:this.marked.has(e.path),disabled:e.gone});r.dataset.path=e.path,r.addEventListener(`change`,()=>this.mark(e,t,r.checked));let i=[E(`span`,{className:`name`},e.name),E(`span`,{className:`soft place`},e.folder),...da(e)].flatMap(e=>[` `,e]),a=E(`span`,{className:`choose`},r,` ${M(`copies.leave`)}`);return!e.gone&&e.id!==null?w.photo(e.id,ca,this.loading.signal).then(e=>{n.src=URL.createObjectURL(e),this.urls.push(n.src)}).catch(()=>n.classList.add(`gone`)):n.classList.add(`gone`),E(`li`,{},E(`label`,{className:`tile copy`},n,...i,` `,a))}mark(e,t,n){n?this.marked.set(e.path,{bytes:e.bytes,group:t}):this.marked.delete(e.path),this.showMarks()}markSmaller(){let e=this.state;e?.groups.forEach((t,n)=>{for(let r of t.photos)!r.gone&&!r.most?this.marked.set(r.path,{bytes:r.bytes,group:e.first+n}):this.marked.delete(r.path)}),this.showMarks()}unmark(){this.marked.clear(),this.showMarks()}forgetMarks(){this.marked.clear(),this.sizes.clear()}showMarks(){for(let e of T(`copies`,HTMLElement).querySelectorAll(`input`))e.checked=this.marked.has(e.dataset.path??``);let e=this.marked.size===0,t=0,n=new Map;for(let{bytes:e,group:r}of this.marked.values())t+=e,n.set(r,(n.get(r)??0)+1);let r=[...n].filter(([e,t])=>t>=(this.sizes.get(e)??1/0)).map(([e])=>e+1);T(`copies-marked`,HTMLElement).textContent=e?M(`copies.unmarked`):M(`copies.marked`,{n:R(this.marked.size),size:z(t)});let i=T(`copies-whole`,HTMLElement);i.hidden=r.length===0,i.textContent=r.length?M(`copies.whole`,{groups:r.slice(0,5).join(`, `)}):``;for(let t of[`copies-unmark`,`copies-copy`,`copies-save`])T(t,HTMLButtonElement).disabled=e}paths(){return[...this.marked.keys()]}async copy(){try{await navigator.clipboard.writeText(this.paths().map(e=>`${sa(e)}\n`).join(``)),U(M(`copied`))}catch{U(M(`copies.copy.failed`))}}};function da(e){let t=(e,t=`fact`)=>E(`span`,{className:t},e);if(e.gone)return[t(M(`copies.gone`),`error`)];let n=[t((e.width===null?``:`${e.width} × ${e.height} · `)+z(e.bytes))];e.time!==null&&n.push(t(M(e.by_camera?`copies.taken`:`copies.saved`,{time:br(e.time)})));let r=[...e.most?[M(`copies.most`)]:[],...e.oldest?[M(`copies.oldest`)]:[],...e.same?[]:[M(`copies.likeness`,{percent:Math.floor(100*e.likeness)})]].map(e=>t(e,`badge`));return r.length?[...n,E(`span`,{className:`badges`},...r.flatMap(e=>[e,` `]))]:n}function fa(){let e=T(`settings`,HTMLDialogElement);T(`settings-open`,HTMLButtonElement).addEventListener(`click`,()=>e.showModal()),ma(),pa(`set-theme`,B.theme,e=>({theme:e})),pa(`set-contrast`,B.contrast,e=>({contrast:e})),ha()}function pa(e,t,n){let r=T(e,HTMLSelectElement);r.value=t,r.addEventListener(`change`,()=>V(n(r.value)))}function ma(){let e=T(`set-language`,HTMLSelectElement),t=Object.entries(j).map(([e,{name:t}])=>E(`option`,{value:e,lang:e},t));e.replaceChildren(...t),e.value=B.language||hr(),e.addEventListener(`change`,()=>{V({language:e.value}),gr(e.value)})}function ha(){let e=T(`set-rate`,HTMLInputElement);e.value=String(B.rate);let t=()=>{T(`rate-shown`,HTMLOutputElement).value=`${e.value} ×`};t(),e.addEventListener(`input`,t),e.addEventListener(`change`,()=>V({rate:Number(e.value)}));let n=T(`set-voice`,HTMLSelectElement);n.addEventListener(`change`,()=>V({voice:n.value}));let r=()=>{let e=Mr().map(e=>E(`option`,{value:e.voiceURI,lang:e.lang},`${e.name} (${e.lang})`));n.replaceChildren(E(`option`,{value:``},M(`speech.auto`)),...e),n.value=B.voice,T(`no-voice`,HTMLElement).hidden=e.length>0,T(`try-voice`,HTMLButtonElement).disabled=e.length===0};Nr(r),F(r),T(`try-voice`,HTMLButtonElement).addEventListener(`click`,()=>{Ir(),Pr(M(`speech.sample`))})}var ga=class{folders;taken;list=T(`choose-list`,HTMLElement);begin=O();shown=null;constructor(e,t){this.folders=e,this.taken=t;let n=T(`choose`,HTMLDetailsElement);n.addEventListener(`toggle`,()=>{n.open&&this.shown===null&&this.look(null)})}retell(){this.shown!==null&&this.show(this.shown)}async look(e){let t=this.begin(),n=T(`choose-said`,HTMLElement);try{let n=await this.folders.foldersIn(e);if(!t()||(this.show(n),e===null))return;this.taken(n.path),T(`choose-at`,HTMLElement).focus()}catch(e){t()&&D(n,J(e))}}show(e){this.shown=e,T(`choose-at`,HTMLElement).textContent=e.path.toWellFormed();let t=[M(`choose.pictures`,{n:R(e.pictures)})];e.more&&t.push(M(`choose.more`)),e.folders.length||t.push(M(`choose.none`)),D(T(`choose-said`,HTMLElement),N(t.join(` `)));let n=e.places.filter(({path:t})=>t!==e.path).map(e=>this.button(e,e.path.toWellFormed(),`small`));T(`choose-places`,HTMLElement).replaceChildren(...n);let r=e.up===null?[]:[this.button({name:`..`,path:e.up},M(`choose.up`),`folder up`)],i=e.folders.map(e=>this.button(e,e.name,`folder`));this.list.replaceChildren(...[...r,...i].map(e=>E(`li`,{},e)))}button({path:e},t,n){let r=E(`button`,{type:`button`,className:n},t);return r.addEventListener(`click`,()=>void this.look(e)),r}},_a=class{folders;path=T(`add-path`,HTMLInputElement);error=T(`add-error`,HTMLElement);chooser;run;exact=``;constructor(e,t,n){this.folders=e,T(`add`,HTMLFormElement).hidden=!1,this.run=new hi(e=>this.show(e),t,n),this.chooser=new ga(e,e=>this.take(e)),T(`add`,HTMLFormElement).addEventListener(`submit`,e=>{e.preventDefault();let t=this.path.value.trim();if(!t)return this.tell(N(M(`add.first`))),this.path.focus();this.start(t===this.exact.toWellFormed()?this.exact:t)}),T(`add-again`,HTMLButtonElement).addEventListener(`click`,()=>void this.start(null)),F(()=>this.chooser.retell())}follow(){return this.run.follow()}focus(){this.path.focus()}take(e){this.exact=e,this.path.value=e.toWellFormed()}async start(e){this.tell(null),this.tell(await this.run.start(()=>this.folders.startIndex(e)))}tell(e){this.error.hidden=e===null,D(this.error,e??N(``))}show(e){T(`add-go`,HTMLButtonElement).disabled=e.running;let t=T(`add-again`,HTMLButtonElement);t.hidden=e.album.length===0,t.disabled=e.running}},Q=32,va=12,ya=3,ba=document.createElement(`canvas`);ba.width=ba.height=Q;function xa(e){if(!e.videoWidth||e.readyState<HTMLMediaElement.HAVE_CURRENT_DATA)return null;let t=ba.getContext(`2d`,{willReadFrequently:!0});if(!t)return null;t.imageSmoothingQuality=`medium`,t.drawImage(e,0,0,Q,Q);let{data:n}=t.getImageData(0,0,Q,Q),r=new Uint8Array(1024);for(let e=0;e<r.length;e++)r[e]=(n[4*e]??0)*2+(n[4*e+1]??0)*5+(n[4*e+2]??0)>>3;return r}function Sa(e,t){let n=0;for(let r=0;r<e.length;r++)Math.abs((e[r]??0)-(t[r]??0))>va&&n++;return n<ya}var Ca=(e,t)=>String(e).padStart(t,`0`);function wa(e){let t=Math.max(0,Math.round(e*1e3)),n=Math.floor(t/1e3);return`${[Math.floor(n/3600),Math.floor(n/60)%60,n%60].map(e=>Ca(e,2)).join(`:`)}.${Ca(t%1e3,3)}`}var Ta=e=>e.replaceAll(`&`,`&amp;`).replaceAll(`<`,`&lt;`).replaceAll(`>`,`&gt;`).replace(/\s*\n\s*/g,`
`).trim();function Ea(e){return[`WEBVTT
`,...e.map(e=>{let t=Math.max(e.to,e.from+.5);return`${wa(e.from)} --> ${wa(t)}\n${Ta(e.text)}\n`})].join(`
`)}var Da=e=>[e.getHours(),e.getMinutes(),e.getSeconds()].map(e=>Ca(e,2)).join(`:`);function Oa(e){return e.map(e=>`${Da(e.at)}  ${e.text.replace(/\s+/g,` `)}\n`).join(``)}var ka=500,Aa=class{captions=[];list=T(`history`,HTMLOListElement);constructor(){let e=(e,t)=>T(e,HTMLButtonElement).addEventListener(`click`,t);e(`copy`,()=>void this.copy()),e(`save-text`,()=>ar(`${this.name()}.txt`,Oa(this.captions),`text/plain`)),e(`save-vtt`,()=>ar(`${this.name()}.vtt`,Ea(this.captions),`text/vtt`)),e(`clear`,()=>{this.captions=[],this.list.replaceChildren(),this.showWhether(),T(`history-title`,HTMLElement).focus()}),F(()=>{for(let e of this.list.querySelectorAll(`.unsure`))e.textContent=M(`unsure`)})}add(e){let t=this.captions.at(-1);if(t?.text===e.text){t.to=Math.max(t.to,e.to);return}this.captions.push(e);let n=E(`li`,{},E(`time`,{dateTime:e.at.toISOString()},Da(e.at)),E(`span`,{lang:I(e.text)},e.text));e.unsure&&n.append(E(`span`,{className:`unsure`},M(`unsure`))),this.list.prepend(n),this.captions.length>ka&&(this.captions.shift(),this.list.lastElementChild?.remove()),this.showWhether()}showWhether(){let e=this.captions.length===0;this.list.hidden=e,T(`history-tools`,HTMLElement).hidden=e,T(`history-empty`,HTMLElement).hidden=!e}async copy(){try{await navigator.clipboard.writeText(Oa(this.captions)),U(M(`copied`))}catch{U(M(`copy.failed`))}}name(){let e=this.captions[0]?.at??new Date;return`galago-${e.toLocaleDateString(`sv`)}-${Da(e).replaceAll(`:`,``)}`}},ja=new Set(`a an the of is are was in on at by to and or with it its this that there which be being image picture photo shows showing`.split(` `)),Ma=`zero one two three four five six seven eight nine ten`.split(` `),Na=new Set(`no not nothing none nobody without never isn't aren't`.split(` `)),Pa=2e4,Fa=.5;function Ia(e){let t=new Set,n=new Intl.Segmenter(void 0,{granularity:`word`});for(let{segment:r,isWordLike:i}of n.segment(e.toLowerCase())){if(!i||ja.has(r))continue;let e=Ma.indexOf(r);t.add(e>=0?String(e):r)}return t}var La=(e,t)=>[...e].filter(t).sort().join(` `),Ra=e=>/^\d/.test(e),za=e=>Na.has(e);function Ba(e,t){return e.size+t.size===0?1:2*[...e].filter(e=>t.has(e)).length/(e.size+t.size)}var Va=class{last=null;heard=new Map;isNew(e,t=Date.now()){let n=Ia(e);if(this.last!==null&&!this.differs(n,this.last,t))return!1;this.last=n;for(let e of n)this.heard.set(e,t);return!0}differs(e,t,n){if(La(e,Ra)!==La(t,Ra)||La(e,za)!==La(t,za)||Ba(e,t)<Fa)return!0;let r=e=>n-(this.heard.get(e)??-1/0)<Pa;return[...e].some(e=>!t.has(e)&&!r(e))}forget(){this.last=null,this.heard.clear()}},Ha=class{changed;chips=T(`presets`,HTMLElement);own=T(`own`,HTMLTextAreaElement);language;prompts=new Map;languages=[];chosen=`describe`;words=``;constructor(e){this.changed=e,T(`question`,HTMLFormElement).addEventListener(`submit`,e=>e.preventDefault()),this.own.addEventListener(`change`,()=>this.takeOwn()),this.own.addEventListener(`keydown`,e=>{e.key!==`Enter`||e.shiftKey||e.isComposing||(e.preventDefault(),this.takeOwn())}),this.language=new Ei(`live-language`,e),$r(({presets:e,languages:t})=>{this.prompts=new Map(di(e).map(({id:e,prompt:t})=>[e,t])),this.languages=t,this.show(),this.chosen!==`own`&&!this.prompts.has(this.chosen)&&this.choose(`describe`)}),F(()=>this.show())}get prompt(){return this.chosen===`own`?this.words:(this.prompts.get(this.chosen)??``).replace(`{language}`,this.language.last?.name??`English`)}takeOwn(){let e=this.own.value.trim();e!==this.words&&(this.words=e,this.changed())}show(){if(!this.prompts.size)return;this.language.fill(this.languages);let e=[...this.prompts.keys(),`own`].map(e=>{let t=E(`input`,{type:`radio`,name:`preset`,value:e});return t.checked=e===this.chosen,t.addEventListener(`change`,()=>this.choose(e)),E(`label`,{className:`chip`},t,E(`span`,{},fi(e)))});this.chips.replaceChildren(...e)}choose(e){this.chosen=e;for(let t of this.chips.querySelectorAll(`input`))t.checked=t.value===e;T(`own-field`,HTMLElement).hidden=e!==`own`,T(`live-language-field`,HTMLElement).hidden=e!==`translate`,this.changed()}},Ua=3e3,Wa=250,Ga=1e3,Ka=class{video;seen=[];constructor(e){this.video=e,`requestVideoFrameCallback`in e?this.onFrame():setInterval(()=>this.note(performance.now(),this.played()),Wa)}forget(){this.seen=[]}get perSecond(){let[e,t]=[this.seen[0],this.seen.at(-1)];if(!e||!t||t.count<=e.count)return null;let n=performance.now(),r=n-t.at>Ga?n:t.at;return 1e3*(t.count-e.count)/(r-e.at)}onFrame(){this.video.requestVideoFrameCallback((e,{presentedFrames:t})=>{this.note(e,t),this.onFrame()})}played(){return this.video.getVideoPlaybackQuality().totalVideoFrames}note(e,t){let n=this.seen.at(-1);for(n&&t<n.count&&(this.seen=[]),n?.count!==t&&this.seen.push({at:e,count:t});this.seen.length>2&&e-(this.seen[0]?.at??e)>Ua;)this.seen.shift()}},qa=1100,Ja=3600,Ya=class{wanted=T(`remember`,HTMLInputElement);button=T(`forget-hour`,HTMLButtonElement);told=T(`remember-told`,HTMLElement);allowed=!1;seconds=null;next=null;busy=!1;count=0;constructor(){this.wanted.checked=!1,this.wanted.addEventListener(`change`,()=>this.turned()),this.button.addEventListener(`click`,()=>void this.forgetHour()),$r(({remember:e})=>{this.allowed=!!e,this.seconds=e?.keep_seconds??null,T(`remember-card`,HTMLElement).hidden=!this.allowed,this.show()}),F(()=>this.show())}keep(e,t){this.isOn()&&(this.next={frame:e,caption:t},this.work())}isOn=()=>this.allowed&&this.wanted.checked;turned(){this.next=null,this.told.textContent=``,this.show()}async work(){if(!this.busy){for(this.busy=!0;this.next!==null&&this.isOn();){let e=this.next;this.next=null;try{await w.keepSeen(e.frame,e.caption),this.count++,this.told.textContent=``,this.show()}catch(n){n instanceof t?this.next??=e:D(this.told,this.notKept(n))}await k(qa)}this.busy=!1}}notKept(e){let t=J(e);return{...t,text:M(`remember.failed`,{reason:t.text})}}async forgetHour(){this.next=null,this.button.disabled=!0,this.told.textContent=``;try{let e=await w.forgetSeen(Ja);this.count=0;let t=e===0?`remember.none`:e===1?`remember.forgotten.one`:`remember.forgotten`;D(this.told,N(M(t,{n:e})))}catch(e){D(this.told,J(e))}this.button.disabled=!1,this.button.focus(),this.show()}show(){T(`remembering`,HTMLElement).hidden=!this.isOn();let e=this.seconds===null?M(`remember.always`):M(`remember.for`,{time:pr(this.seconds)});T(`remember-help`,HTMLElement).textContent=`${M(`remember.help`)} ${e}`,T(`remember-count`,HTMLElement).textContent=this.count?M(`remember.kept`,{n:this.count}):``}},Xa=5e3,Za=120,Qa=500,$a=class{stage=T(`stage`,HTMLElement);video=T(`video`,HTMLVideoElement);caption=T(`caption`,HTMLElement);source=T(`source`,HTMLSelectElement);go=T(`go`,HTMLButtonElement);history=new Aa;remember=new Ya;meaning=new Va;rate=new Ka(this.video);question=new Ha(()=>this.askAnew());state=`idle`;note=``;facing=`environment`;bySide=!0;cameras=1;begin=O();opened=``;asking=null;seen=null;began=0;constructor(){let e=(e,t)=>T(e,HTMLButtonElement).addEventListener(`click`,t);this.go.addEventListener(`click`,()=>void(this.state===`running`?this.pause():this.run())),e(`once`,()=>void this.once()),e(`flip`,()=>this.flip()),e(`speak`,()=>this.setSpeaking(!B.speak)),this.source.addEventListener(`change`,()=>this.sourceChosen());let t=T(`video-file`,HTMLInputElement);t.addEventListener(`change`,()=>{this.opened=``,t.files?.length&&this.run()}),this.video.addEventListener(`ended`,()=>this.end()),Nr(()=>this.showSpeaking()),F(()=>{this.show(this.state,this.note),this.listCameras()}),`mediaDevices`in navigator&&navigator.mediaDevices.addEventListener(`devicechange`,()=>void this.listCameras())}async run(){let e=this.startAnew();if(!await this.open(e))return;this.show(`running`);let t=()=>this.state===`running`&&e();for(Hi(t),this.showRate(t);t();){let e=xa(this.video);e===null||this.question.prompt===``||this.seen!==null&&Sa(e,this.seen)?await k(Za):await this.ask(e,w.frame(this.video))}}async once(){this.state===`running`&&this.pause();let e=this.startAnew();if(!await this.open(e))return;let t=xa(this.video);for(;t===null&&e();)await k(Za),t=xa(this.video);if(t===null||!e())return;this.video.pause(),this.show(`paused`,M(`state.waiting`));let n=w.frame(this.video);for(this.release();e()&&await this.ask(t,n)===`again`;);e()&&this.state===`paused`&&this.show(`paused`)}pause(){this.asking?.abort(),this.video.pause(),Ir(),this.show(`paused`),this.release()}startAnew(){return this.asking?.abort(),this.showCaption(``),this.begin()}release(){this.opened!==`screen`&&this.opened!==`file`&&(this.track()?.stop(),this.opened=``)}end(){this.opened=``,this.state===`running`&&(this.asking?.abort(),this.show(`ended`))}askAnew(){this.seen=null,this.meaning.forget(),this.showCaption(``),this.asking?.abort()}flip(){let e=this.track()?.getSettings().facingMode;this.bySide=e!==void 0,e===void 0?this.source.selectedIndex=(this.source.selectedIndex+1)%this.cameras:this.facing=e===`user`?`environment`:`user`,this.reopen()}track(){let e=this.video.srcObject;return e instanceof MediaStream?e.getVideoTracks()[0]:void 0}sourceChosen(){this.bySide=!1,T(`video-choose`,HTMLElement).hidden=this.source.value!==`file`,this.reopen()}reopen(){this.startAnew();let e=this.state===`running`;Vi(this.video),this.opened=``,this.show(`idle`),e&&this.source.value!==`file`&&this.run()}async open(e){this.seen=null;let t=this.source.value||`camera`;if(this.opened===t)return await this.video.play().catch(()=>{}),e();let n=T(`video-file`,HTMLInputElement).files?.[0];if(t===`file`&&!n)return T(`video-file`,HTMLInputElement).click(),!1;this.show(`starting`),this.rate.forget(),this.began||=performance.now();try{let r=t===`file`&&n?n:await this.stream(t);if(!e())return r instanceof MediaStream&&Bi(r),!1;await zi(this.video,r)}catch(t){return e()&&(Vi(this.video),t instanceof X?this.show(t.reason,``,t.words):this.show(`failed`,``,String(t))),!1}return!e()||(await this.listCameras(),!e())?!1:(this.opened=this.source.value||`camera`,!0)}async stream(e){let t=e===`camera`||this.bySide?``:e,n=await(e===`screen`?Fi():Pi(t,this.facing));for(let e of n.getVideoTracks())e.addEventListener(`ended`,()=>this.end());return n}async listCameras(){this.cameras=await Li(this.source);let e=this.track()?.getSettings().deviceId,t=[...this.source.options].some(t=>t.value===e);e&&t&&(this.source.value=e),T(`flip`,HTMLElement).hidden=this.cameras<2}now(){return this.opened===`file`?this.video.currentTime:(performance.now()-this.began)/1e3}async ask(e,t){this.seen=e,this.asking=new AbortController;let[n,r,a]=[new Date,this.now(),performance.now()],o=setInterval(()=>this.tellSlow(a),1e3),s=this.caption.textContent??``,c=si(),l=e=>{clearInterval(o),this.caption.dataset.old=`false`,this.note&&this.show(this.state),s.startsWith(e)||this.showCaption(e)};try{let e=[i(t,this.question.prompt)],a=await w.chat(c,e,l,this.asking.signal),o=a.text.trim(),s=a.doubt!==null;if(this.showCaption(o),this.showFigures(a.firstToken,s),this.tell(o,s),!o)return;this.history.add({text:o,at:n,from:r,to:this.now(),unsure:s}),this.remember.keep(t,o)}catch(e){return clearInterval(o),await this.failed(e,c)}finally{clearInterval(o)}}async failed(i,a){if(this.seen=null,r(i))return;if(i instanceof e&&await ci(a).catch(()=>!1))return`again`;if(i instanceof n){this.showCaption(``),T(`figures`,HTMLElement).hidden=!0;let e=M(`state.lost`);return this.show(this.state,e,M(`state.lost.help`)),await ti(),this.note===e&&this.show(this.state),`again`}if(i instanceof t)return this.show(this.state,M(`state.busy`)),await k(i.wait*1e3),`again`;this.video.pause();let{text:o,lang:s}=P(i instanceof Error?i.message:String(i));this.show(`failed`,o,``,s),this.release()}tellSlow(e){let t=performance.now()-e;if(t<Xa)return;let n=Math.round(t/1e3),r=!this.caption.hidden;this.caption.dataset.old=String(r),this.show(this.state,M(`state.slow`),M(r?`state.slow.old`:`state.slow.help`,{seconds:n}))}tell(e,t){e&&this.meaning.isNew(e)&&(kr(e,t),B.speak&&Pr(e,...t?[M(`unsure.short`)]:[]))}showCaption(e){this.caption.hidden=e===``,this.caption.dataset.old=`false`,e===``&&(T(`doubt`,HTMLElement).hidden=!0),this.caption.lang=I(e),this.caption.textContent!==e&&(this.caption.textContent=e)}showFigures(e,t){T(`figures`,HTMLElement).hidden=!1,T(`doubt`,HTMLElement).hidden=!t,T(`ttft`,HTMLElement).textContent=M(`live.ttft`,{time:e.toFixed(2)})}async showRate(e){let t=T(`rate`,HTMLElement);for(;e();){let e=this.rate.perSecond;t.textContent=e===null?``:M(`live.rate`,{rate:e.toFixed(1)}),await k(Qa)}this.state!==`running`&&(t.textContent=``)}setSpeaking(e){V({speak:e}),this.showSpeaking(),e||Ir()}showSpeaking(){let e=Mr().length>0,t=T(`speak`,HTMLButtonElement);t.disabled=!e,t.setAttribute(`aria-pressed`,String(e&&B.speak)),T(`speak-none`,HTMLElement).hidden=e}show(e,t=``,n=``,r=``){this.state=e,this.note=t,this.stage.dataset.state=e,this.stage.dataset.note=String(t!==``),this.go.textContent=M(e===`running`?`live.pause`:`live.start`);let i=e===`running`?t:t||M(`state.${e}`),a=`state.${e}.help`;D(T(`stage-text`,HTMLElement),{text:i,lang:r}),T(`stage-help`,HTMLElement).textContent=mr(a)&&!t?M(a):n}},eo=class{tabs;heading;constructor(e,t){this.tabs=e,this.heading=t,e.forEach(({name:t},n)=>{let r=this.button(t);r.addEventListener(`click`,()=>this.show(t)),r.addEventListener(`keydown`,t=>{let r={ArrowRight:n+1,ArrowLeft:n-1,Home:0,End:-1}[t.key],i=r===void 0?void 0:e.at(r%e.length);i!==void 0&&(t.preventDefault(),this.show(i.name),this.button(i.name).focus())})})}show(e){for(let{name:t,title:n,shown:r}of this.tabs){let i=t===e,a=this.button(t);a.setAttribute(`aria-selected`,String(i)),a.tabIndex=i?0:-1,T(`panel-${t}`,HTMLElement).hidden=!i,i&&(this.heading.dataset.t=n,this.heading.textContent=M(n),r?.())}}button(e){return T(`tab-${e}`,HTMLButtonElement)}},to=[`live`,`picture`,`album`],no=()=>to.find(e=>location.hash===`#${e}`),$=no()??`live`;function ro(){for(let e of to){T(`view-${e}`,HTMLElement).hidden=e!==$;let t=document.querySelector(`nav a[href="#${e}"]`);e===$?t?.setAttribute(`aria-current`,`page`):t?.removeAttribute(`aria-current`)}document.title=`${M($)} – galago`}function io(){let e=no();e!==void 0&&($=e,ro(),scrollTo(0,0),T(`${e}-title`,HTMLElement).focus({preventScroll:!0}),e===`album`&&oo.refresh().catch(()=>{}))}function ao(e){T(`tab-add-share`,HTMLElement).textContent=e===null?``:`${Math.floor(100*e)} %`}Tr(),gr(B.language||hr()),F(ro),addEventListener(`hashchange`,io);for(let e of[`dragover`,`drop`])addEventListener(e,e=>{e.dataTransfer?.types.includes(`Files`)&&e.preventDefault()});fa(),new $a;var oo=new $i(new Gi,new Si),so=()=>void oo.refresh().catch(()=>{}),co=w.folders?new _a(w.folders,so,ao):w.files&&new bi(w.files,so,ao),lo=w.copies&&new ua(w.copies);T(`tab-copies`,HTMLElement).hidden=lo===null;var uo=new eo([{name:`find`,title:`album.title`,shown:so},{name:`add`,title:`add.title`,shown:()=>void co?.follow()},...lo?[{name:`copies`,title:`copies.heading`,shown:()=>lo.open()}]:[]],T(`album-title`,HTMLElement));T(`album-add`,HTMLButtonElement).addEventListener(`click`,()=>{uo.show(`add`),co?.focus()}),ai(),w.here&&`serviceWorker`in navigator&&navigator.serviceWorker.register(`sw.js`).catch(()=>{});